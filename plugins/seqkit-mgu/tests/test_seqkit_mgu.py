"""The minimal gated unit keeps seqkit's contract, and computes the equations of its paper."""

import pytest
import torch

import seqkit


@pytest.mark.seqkit("model=mgu")
def test_contract(check):
    check()


def test_equations_of_the_paper():
    model = seqkit.build("model", {"name": "mgu", "hidden_size": 3}, 2).double()
    W, U, b, c = (parameter.detach() for parameter in model.parameters())
    (W_f, W_n), (U_f, U_n), (b_f, b_n) = W.chunk(2), U.chunk(2), (b + c).chunk(2)
    x_TI = torch.randn(5, 2, dtype=torch.float64)
    y_1TH, _ = model(x_TI[None])
    h = torch.zeros(3, dtype=torch.float64)
    for x, y in zip(x_TI, y_1TH[0], strict=True):
        f = torch.sigmoid(W_f @ x + U_f @ h + b_f)
        n = torch.tanh(W_n @ x + U_n @ (f * h) + b_n)
        h = (1 - f) * h + f * n
        torch.testing.assert_close(y, h)

"""The cell keeps seqkit's contract, and computes its equations."""

import pytest
import torch

import seqkit


@pytest.mark.seqkit("model=example")
def test_contract(check):
    check()


def test_equations():
    model = seqkit.build("model", {"name": "example", "hidden_size": 3}, 2).double()
    weights = {name.rpartition(".")[2]: parameter.detach() for name, parameter in model.named_parameters()}
    a = torch.sigmoid(weights["rate_H"])
    x_TI = torch.randn(5, 2, dtype=torch.float64)
    y_1TH, _ = model(x_TI[None])
    h = torch.zeros(3, dtype=torch.float64)
    for x, y in zip(x_TI, y_1TH[0], strict=True):
        projected = weights["weight_ih"] @ x + weights["bias_ih"] + weights["weight_hh"] @ h + weights["bias_hh"]
        h = (1 - a) * h + a * torch.tanh(projected)
        torch.testing.assert_close(y, h)

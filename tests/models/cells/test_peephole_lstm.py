"""peephole_lstm against its equations, written out a second time for single numbers."""

import math

import pytest
import torch

from seqkit.models import Recurrent
from seqkit.models.cells.peephole_lstm import PeepholeLSTM

torch.set_num_threads(1)
BACKENDS = "fused", "reference"


def sigmoid(a: float) -> float:
    return 1 / (1 + math.exp(-a))


def equations(direction, x, h, c):
    """Gers, Schraudolph and Schmidhuber (2002), unit by unit: x a list of steps, h and c the state before."""
    W, U, b, d = (weight.tolist() for weight in direction.projections(0.0).weights)
    p = direction.cell.peephole.tolist()
    H = len(h)
    outputs = []
    for x_t in x:
        h_new, c_new = [], []
        for k in range(H):

            def total(gate, k=k, x_t=x_t, h=h):
                row = gate * H + k
                own = sum(w * value for w, value in zip(W[row], x_t, strict=True))
                return own + sum(u * value for u, value in zip(U[row], h, strict=True)) + b[row] + d[row]

            i = sigmoid(total(0) + p[0][k] * c[k])
            f = sigmoid(total(1) + p[1][k] * c[k])
            c_t = f * c[k] + i * math.tanh(total(2))
            o = sigmoid(total(3) + p[2][k] * c_t)  # sees the new cell state
            c_new.append(c_t)
            h_new.append(o * math.tanh(c_t))
        h, c = h_new, c_new
        outputs.append(h)
    return outputs, h, c


def make(backend: str, **options) -> Recurrent:
    torch.manual_seed(0)
    model = Recurrent(PeepholeLSTM, 3, backend=backend, **{"hidden_size": 4, **options}).double()
    for one in model.modules():
        if isinstance(one, PeepholeLSTM):
            torch.nn.init.normal_(one.peephole)
    return model


@pytest.mark.parametrize("backend", BACKENDS)
def test_equals_its_equations(backend):
    model = make(backend)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    h, c = torch.randn(2, 1, 2, 4, dtype=torch.float64)
    y, (h_after, c_after) = model(x, None, (h, c))
    for row in range(2):
        expected = equations(model.layers[0][0], x[row].tolist(), h[0, row].tolist(), c[0, row].tolist())
        for got, want in zip((y[row], h_after[0, row], c_after[0, row]), expected, strict=True):
            torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, torch.tensor([1, 3])], ids=["whole", "padded"])
def test_gradcheck(backend, bidirectional, lengths):
    """All gradients against finite differences: input, state, and every parameter."""
    model = make(backend, hidden_size=2, bidirectional=bidirectional)
    names = [name for name, _ in model.named_parameters()]
    x = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    state = torch.randn(2, 1 + bidirectional, 2, 2, dtype=torch.float64, requires_grad=True)

    def run(x, state, *weights):
        y, after = torch.func.functional_call(
            model, dict(zip(names, weights, strict=True)), (x, lengths, state.unbind(0))
        )
        return y, *after

    assert torch.autograd.gradcheck(run, (x, state, *model.parameters()), fast_mode=True)


def test_starts_as_the_plain_lstm():
    torch.manual_seed(0)
    model = Recurrent(PeepholeLSTM, 3, hidden_size=4).double()
    direction = model.layers[0][0]
    peer = torch.nn.LSTM(3, 4, batch_first=True).double()
    with torch.no_grad():
        for ours, theirs in zip(direction.projections(0.0).weights, peer.parameters(), strict=True):
            theirs.copy_(ours)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(model(x)[0], peer(x)[0], rtol=0, atol=1e-12)
    forget = direction.part("bias_ih", "forget") + direction.part("bias_hh", "forget")
    assert torch.equal(forget, torch.ones(4, dtype=torch.float64))
    model(x)[0].sum().backward()
    assert direction.cell.peephole.grad.abs().min() > 0

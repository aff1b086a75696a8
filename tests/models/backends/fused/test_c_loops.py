"""The loops in C: their functions of one variable, their threads, and their trial before use."""

import pytest
import torch

from seqkit.models import Recurrent
from seqkit.models.backends.fused import c_loops
from seqkit.models.backends.fused.c_loops import CLoops
from seqkit.models.backends.fused.problem import LSTMProblem
from seqkit.models.cells.peephole_lstm import PeepholeLSTM

REASON = CLoops().unavailable_reason(torch.device("cpu"), torch.float32)
needs_compiler = pytest.mark.skipif(bool(REASON), reason=REASON)


@needs_compiler
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-7), (torch.float64, 4e-16)])
def test_sigmoid_and_tanh_are_those_of_torch(dtype, tolerance):
    """One step of an LSTM without recurrence: h = sigmoid(o) tanh(sigmoid(f) c) with c at 1 and o, f over a wide range."""
    values = torch.cat([torch.linspace(-120, 120, 5001), torch.tensor([0.0, 1e-30, -1e-4, 1e30, -1e30])]).to(dtype)
    size = len(values)
    gates = torch.zeros(1, 1, 4 * size, dtype=dtype)
    gates[0, 0, size : 2 * size] = 1000  # forget nothing
    gates[0, 0, 3 * size :] = values
    hs, cs = torch.zeros(2, 2, 1, size, dtype=dtype)
    cs[0] = values
    weight = torch.zeros(4 * size, size, dtype=dtype)
    CLoops().lstm_forward(LSTMProblem(gates, weight, None, None, None, None, None, hs, cs))
    torch.testing.assert_close(hs[1, 0], values.sigmoid() * values.tanh(), rtol=tolerance, atol=tolerance)
    tiny = values.abs() < 1e-2
    torch.testing.assert_close((hs[1, 0] / values.sigmoid())[tiny], values.tanh()[tiny], rtol=4 * tolerance, atol=0)


@needs_compiler
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(batch):
    torch.manual_seed(0)
    model, x = Recurrent(PeepholeLSTM, 3, hidden_size=8, zoneout=0.1, backend="fused").eval(), torch.randn(batch, 6, 3)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            y = model(x)[0]
            found.append((y, *torch.autograd.grad(y.sin().sum(), list(model.parameters()))))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-6, atol=1e-6)


@needs_compiler
def test_loops_that_compute_something_else_are_not_used(monkeypatch):
    monkeypatch.setattr(CLoops, "gru_forward", lambda self, problem: (problem.hs[1:] * 0, None))
    assert c_loops._unavailable_reason.__wrapped__(torch.float32) == "the compiled ones give other results"

"""The loops in C: their functions of one variable, their threads, and their trial before use."""

import pytest
import torch

from seqkit import registry
from seqkit.models import Recurrent
from seqkit.models.backends.fused import c_loops, input_projection
from seqkit.models.backends.fused.c_loops import CLoops
from seqkit.models.backends.fused.functions import _gain_gradient, _peephole_gradient
from seqkit.models.backends.fused.problem import GRUProblem, LSTMProblem
from seqkit.models.backends.fused.torch_loops import TorchLoops
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


def draw(*shape: int, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(sum(shape)))


def run_both(loops, batch: int, size: int, options: set[str], dtype=torch.float64) -> list[torch.Tensor | None]:
    """Everything that the loops of an LSTM and of a GRU compute over a few steps."""
    steps, like = 3, {"dtype": dtype}
    gain = draw(4 * size, **like) if "layer norm" in options else None
    mask = draw(batch, size, **like) if "mask" in options else None
    zoneout = draw(steps, batch, size) < 0 if "zoneout" in options else None
    weight, d = draw(4 * size, size, **like) / size**0.5, draw(batch, steps, size, **like).transpose(0, 1)
    h, c = (torch.cat([draw(1, batch, size, **like), torch.zeros(steps, batch, size, **like)]) for _ in "hc")
    peephole = draw(3, size, **like) if "peephole" in options else None
    lstm = LSTMProblem(draw(steps, batch, 4 * size, **like), weight, gain, peephole, mask, zoneout, zoneout, h, c)
    raw = loops.lstm_forward(lstm)
    d_gates, *others = loops.lstm_backward(lstm, raw, d, None)
    found = [lstm.a_TBG, h, c, d_gates, *others]
    found += [_gain_gradient(loops, d_gates, raw, size)] if gain is not None else []
    found += [_peephole_gradient(loops, d_gates, lstm)] if peephole is not None else []
    h = torch.cat([draw(1, batch, size, **like), torch.zeros(steps, batch, size, **like)])
    gain = None if gain is None else gain[: 3 * size].clone()
    gates, weight, bias = draw(steps, batch, 3 * size, **like), weight[: 3 * size].clone(), draw(3 * size, **like)
    gru = GRUProblem(gates, weight, bias, gain, mask, zoneout, h)
    u_n, raw = loops.gru_forward(gru)
    return [*found, gru.a_TBG, h, u_n, *loops.gru_backward(gru, u_n, raw, d)]


every_option = pytest.mark.parametrize(
    "options", [set(), {"peephole", "mask"}, {"zoneout", "peephole"}, {"layer norm"}, {"layer norm", "mask", "zoneout"}]
)


@needs_compiler
@every_option
@pytest.mark.parametrize(
    ("batch", "size"), [(1, 8), (2, 17), (3, 40), (4, 24), (6, 33), (7, 16), (13, 100), (25, 9), (1, 300)]
)
def test_every_number_of_rows_and_units_gives_what_the_loops_in_torch_give(batch, size, options):
    """Of blocks of rows, of panels of units, and of what is left over."""
    with torch.no_grad():
        got, expected = (run_both(loops, batch, size, options) for loops in (CLoops(), TorchLoops()))
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@needs_compiler
@every_option
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("batch", "size"), [(1, 300), (2, 300), (5, 8)])
def test_the_number_of_threads_changes_not_one_bit(in_threads, batch, size, dtype, options):
    """Where rows are few, threads share out the hidden units of a large layer."""
    found = []
    for threads in (1, 2, 3, 8):
        in_threads(threads)
        found.append(run_both(CLoops(), batch, size, options, dtype))
    for other in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(other, found[0], strict=True))


@pytest.fixture
def in_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@needs_compiler
@pytest.mark.parametrize("name", ["lstm", "gru"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_inference_in_chunks_gives_what_one_pass_gives(monkeypatch, name, layer_norm):
    registry.load_built_in()
    options = {"name": name, "hidden_size": 6, "layer_norm": layer_norm, "zoneout": 0.1, "backend": "fused"}
    model, x = registry.build("model", options, 3).eval().double(), draw(2, 7, 3)
    expected = model(x)
    monkeypatch.setattr(input_projection, "CHUNK", 1000)  # two steps
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)


@needs_compiler
def test_a_tensor_whose_memory_is_freed_is_refused():
    model, x = Recurrent(PeepholeLSTM, 3, hidden_size=8, backend="fused"), torch.randn(2, 6, 3)
    model(x)
    peephole = model.layers[0][0].cell.peephole
    peephole.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match=r"a tensor \(3, 8\) whose memory is freed: under FSDP a layer's weights"):
        model(x)


@needs_compiler
def test_loops_that_compute_something_else_are_not_used(monkeypatch):
    monkeypatch.setattr(CLoops, "gru_forward", lambda self, problem: (problem.hs[1:] * 0, None))
    assert c_loops._unavailable_reason.__wrapped__(torch.float32) == "the compiled ones give other results"

"""The compiled backend against the reference, in float64."""

import logging
import os

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from seqkit.errors import ConfigError
from seqkit.models import Recurrent
from seqkit.models.backends.compiled import build, loop
from seqkit.models.backends.compiled.loop import unavailable_reason
from seqkit.models.backends.compiled.trace import Options
from tests.models.test_stack import MGU

CPU = torch.device("cpu")


class Peephole(nn.Module):
    """Several states, parameters of its own of two shapes, and a buffer."""

    gates = "input", "forget", "cell", "output"
    states = "hidden", "cell"

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.peephole = nn.Parameter(torch.rand(3, hidden_size))
        self.slope = nn.Parameter(torch.rand(1))
        self.register_buffer("scale", torch.rand(hidden_size))

    def step(self, x_BG, recur, state):
        h, c = state
        p_i, p_f, p_o = self.peephole
        i, f, g, o = (x_BG + recur(h)).chunk(4, dim=1)
        i, f = torch.sigmoid(i + p_i * c), torch.sigmoid(f + p_f * c)
        c = f * c + i * torch.tanh(self.slope * g)
        return torch.sigmoid(o + p_o * c) * torch.tanh(c) * self.scale, c


class Operations(nn.Module):
    """Views of every sort, and functions of every sort."""

    gates = "one", "two", "three"
    states = "hidden", "pair"

    def state_shapes(self, hidden_size):
        return {"pair": (2, hidden_size)}

    def step(self, x_BG, recur, state):
        h, pair = state
        one, two, three = (x_BG + recur(h)).unflatten(1, (3, -1)).unbind(1)
        joined = torch.cat([F.relu(one), F.silu(two)], 1)
        a, b = joined[:, : h.shape[1]], joined.narrow(1, h.shape[1], h.shape[1])
        a = torch.where(three > 0, a.clamp(-0.5, 0.5), F.leaky_relu(a)) + F.softplus(b) / (1 + pair[:, 0].square())
        b = torch.maximum(F.elu(two), torch.exp(-one.abs())) ** 2 + F.gelu(three) - torch.rsqrt(1 + b * b)
        a = a.add_(1).lerp(F.hardtanh(b), torch.sigmoid(three))
        return torch.sin(a) - F.logsigmoid(b), torch.stack([0.5 * pair[:, 1] + a, torch.log1p(b * b)], 1)


def results(cell, backend, seed=0, sizes=(3, 7, 8), **options):
    """Return outputs, states and all gradients, then the outputs without gradients."""
    B, T, H = sizes
    torch.manual_seed(seed)
    model = Recurrent(cell, 5, hidden_size=H, backend=backend, **options).double()
    for weight in model.parameters():
        nn.init.uniform_(weight, -1, 1)
    x = torch.randn(B, T, 5, dtype=torch.float64, requires_grad=True)
    start = [torch.randn(part.shape, dtype=torch.float64, requires_grad=True) for part in model.initial_state(B)]
    torch.manual_seed(1)
    y, state = model(x, torch.tensor([T, 1, 0][:B]), tuple(start))
    loss = y.sin().sum() + sum((part * part).sum() for part in state)
    gradients = torch.autograd.grad(loss, [x, *start, *model.parameters()])
    with torch.no_grad():
        torch.manual_seed(1)
        again, _ = model(x, torch.tensor([T, 1, 0][:B]), tuple(start))
    assert torch.equal(again, y)
    return [y, *state, *gradients, model.eval()(x)[0]]


EVERYTHING = {"layer_norm": True, "variational_dropout": 0.3, "weight_dropout": 0.2, "zoneout": 0.3, "num_layers": 2}


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (Peephole, {}),
        (Operations, {}),
        (MGU, {**EVERYTHING, "projection_size": 4, "bidirectional": True, "learned_state": False}),
        pytest.param(Peephole, {**EVERYTHING, "zoneout_cell": 0.0}, marks=pytest.mark.slow),
        pytest.param(Operations, EVERYTHING, marks=pytest.mark.slow),
    ],
)
def test_values_and_gradients_are_those_of_the_reference(cell, options):
    torch.testing.assert_close(
        results(cell, "compiled", **options), results(cell, "reference", **options), rtol=1e-10, atol=1e-10
    )


def test_no_result_depends_on_the_number_of_threads():
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(results(Peephole, "compiled"))
    torch.set_num_threads(before)
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_it_is_taken_for_calls_of_some_size_and_by_default():
    model = Recurrent(Peephole, 5, hidden_size=64)
    assert model.backends()[0].name == "compiled"
    x = torch.randn(8, 64, 5)
    y, _ = model(x)
    assert "Loop" in type(y.grad_fn.next_functions[0][0]).__name__ or "_Loop" in _functions(y)
    assert "_Loop" not in _functions(model(x[:2, :2])[0])


def _functions(y):
    """Return the names of the autograd functions that made a tensor."""
    seen, todo = set(), [y.grad_fn]
    while todo:
        function = todo.pop()
        if function is not None and function not in seen:
            seen.add(function)
            todo += [one for one, _ in function.next_functions]
    return {type(function).__name__.removesuffix("Backward") for function in seen}


def test_the_first_call_is_said_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.library.cache_clear()
    with caplog.at_level(logging.INFO, "seqkit"):
        for _ in range(2):
            results(MGU, "compiled")
            build.library.cache_clear()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("compiled MGU.step for this machine in ")


def test_a_second_derivative_is_refused():
    x = torch.randn(2, 3, 5, requires_grad=True)
    y, _ = Recurrent(Peephole, 5, hidden_size=8, backend="compiled")(x)
    with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
        torch.autograd.grad(y.sum(), x, create_graph=True)


class Plain(nn.Module):
    gates = ("hidden",)
    states = ("hidden",)
    slope = 1.0

    def step(self, x_BG, recur, state):
        return (torch.tanh(self.slope * x_BG + recur(state[0])),)


def cell_of(step, **attributes):
    return type("Own", (Plain,), {"step": step, **attributes})()


OUTSIDE = torch.rand(4)


def drawing(self, x, recur, state):
    return (torch.tanh(F.dropout(x, 0.5) + recur(state[0])),)


def looking(self, x, recur, state):
    return (torch.tanh(x + recur(state[0])) if x.sum() > 0 else x + recur(state[0]),)


def multiplying(self, x, recur, state):
    return (torch.tanh(x + recur(state[0]) @ torch.ones(4, 4)),)


def normalising(self, x, recur, state):
    return (torch.tanh(x + recur(state[0])).softmax(1),)


def by_rows(self, x, recur, state):
    return (torch.tanh(x / len(x) + recur(state[0])),)


def across(self, x, recur, state):
    return (torch.tanh(x + recur(state[0])) - x.mean(0),)


def flipping(self, x, recur, state):
    return (torch.tanh(x + recur(state[0])).flip(1),)


def remembering(self, x, recur, state):
    self.last = x
    return Plain.step(self, x, recur, state)


def from_outside(self, x, recur, state):
    return (torch.tanh(x + recur(state[0]) * OUTSIDE),)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (drawing, "draws random numbers"),
        (looking, "looks at the values of a tensor"),
        (multiplying, "uses aten.mm.default"),
        (normalising, "sums over units (aten.sum.dim_IntList)"),
        (by_rows, "does another thing at each call, or with another number of rows"),
        (across, "has a value whose first axis is not the batch"),
        (flipping, "uses aten.flip"),
        (remembering, "changes its cell"),
        (from_outside, "uses a tensor that is neither its argument nor a parameter or buffer of its cell"),
    ],
)
def test_what_cannot_be_compiled_runs_as_it_is_and_says_why(step, reason):
    found = unavailable_reason(cell_of(step), CPU, Options(4, False, False, (None,), torch.float32))
    assert found.startswith(reason)


def test_a_changed_attribute_is_traced_anew(monkeypatch):
    cell, options = cell_of(Plain.step), Options(4, False, False, (None,), torch.float32)
    before = loop._program(cell, options)
    assert loop._program(cell, options) is before
    cell.slope = 2.0
    assert loop._program(cell, options).source.text != before.source.text
    monkeypatch.setattr(loop, "MOST_PROGRAMS", 2)
    cell.slope = 3.0
    last = loop._program(cell, options)
    assert last == "changes too often to be compiled"


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"SEQKIT_COMPILED": "0"}, "is not compiled with SEQKIT_COMPILED=0"),
        ({"CC": "no-such-cc"}, "is not compiled, as no C compiler was found (no-such-cc)"),
    ],
)
def test_without_a_compiler_it_says_so(environment, reason, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setitem(os.environ, name, value)
    model = Recurrent(MGU, 5, hidden_size=64)
    assert model.backends()[0].reason == f"torch has no kernel for MGU, and MGU.step {reason}"
    model(torch.randn(8, 64, 5))[0].sum().backward()
    with pytest.raises(ConfigError) as error:
        Recurrent(MGU, 5, hidden_size=64, backend="compiled")
    assert str(error.value) == f"model.backend=compiled: MGU.step {reason}; use model.backend=auto"

"""The compiled backend against the reference, in float64."""

import logging
import shutil
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seqkit.errors import ConfigError
from seqkit.models import Recurrent
from seqkit.models.backends.choose import Choice
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


def run(cell, backend, seed=0, sizes=(3, 7, 8), head=torch.sin, **options):
    """Return outputs, states and all gradients, then the outputs without gradients."""
    B, T, H = sizes
    torch.manual_seed(seed)
    model = Recurrent(cell, 5, hidden_size=H, backend=backend, **options).double()
    for weight in model.parameters():
        nn.init.uniform_(weight, -1, 1)
    x = torch.randn(B, T, 5, dtype=torch.float64, requires_grad=True)
    start = [torch.randn(part.shape, dtype=torch.float64, requires_grad=True) for part in model.initial_state(B)]
    torch.manual_seed(1)
    y, state = model(x, torch.tensor([T, 1, 0, *[T] * B][:B]), tuple(start))
    loss = head(y).sum() + sum((part * part).sum() for part in state)
    gradients = torch.autograd.grad(loss, [x, *start, *model.parameters()])
    with torch.no_grad():
        torch.manual_seed(1)
        again, _ = model(x, torch.tensor([T, 1, 0, *[T] * B][:B]), tuple(start))
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
        run(cell, "compiled", **options), run(cell, "reference", **options), rtol=1e-10, atol=1e-10
    )


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    cell=st.sampled_from([MGU, Peephole]),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 12), st.integers(1, 40)),
    options=st.fixed_dictionaries(
        {"zoneout": st.sampled_from([0.0, 0.3]), "bidirectional": st.booleans(), "num_layers": st.integers(1, 2)}
    ),
    seed=st.integers(0, 99),
)
def test_for_any_sizes_they_are_those_of_the_reference(cell, sizes, options, seed):
    found = (run(cell, backend, seed, sizes, **options) for backend in ("compiled", "reference"))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("cell", "H", "options"), [(Peephole, 100, {}), (MGU, 264, {"layer_norm": True})])
def test_no_result_depends_on_the_number_of_threads(cell, H, options, monkeypatch):
    found = []
    for threads, rows in ((1, 2), (2, 2), (1, 1), (2, 1)):  # one row: the threads share out the units
        torch.set_num_threads(threads)
        monkeypatch.setattr(loop, "_weight_gradient", lambda d_TBN, z_TBH: d_TBN.new_zeros(d_TBN.shape[2], H))
        found.append(run(cell, "compiled", sizes=(rows, 3, H), head=torch.tanh, **options))
    torch.set_num_threads(1)
    for one, other in (found[:2], found[2:]):
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_it_runs_where_it_was_measured_to_be_the_fastest_and_is_recorded():
    model = Recurrent(Peephole, 5, hidden_size=8)
    x = torch.randn(2, 4, 5)
    (default,) = model.backends()
    assert default.name == "reference"
    assert default.reason == (
        "torch has no kernel for Peephole, so its step runs; model.backend=compiled may be faster, which a training "
        "measures"
    )
    assert "_Loop" not in functions(model(x)[0])
    seconds = {"compiled": 0.001, "reference": 0.01}
    model.use_choices([Choice(True, False, "cpu", 4, 2, "compiled", seconds)])
    assert "_Loop" in functions(model(x)[0])
    (chosen,) = model.backends()
    assert chosen.reason.startswith("measured: 1 ms against 10 ms (reference), for 4 steps of batch 2; its loop runs")
    program = loop._program(model.layers[0][0].cell, CPU, model.circumstances(False, True).step)
    assert build.library(program.source.text, torch.float32, "")[1] in chosen.conditions


def functions(y):
    """Return the names of the autograd functions that made a tensor."""
    seen, todo = set(), [y.grad_fn]
    while todo:
        function = todo.pop()
        if function is not None and function not in seen:
            seen.add(function)
            todo += [one for one, _ in function.next_functions]
    return {type(function).__name__.removesuffix("Backward") for function in seen}


def test_the_first_call_is_said_once_and_a_deleted_cache_makes_the_same_library(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = Recurrent(MGU, 5, hidden_size=8, backend="compiled")
    hashes = []
    with caplog.at_level(logging.INFO, "seqkit"):
        for _ in range(3):
            build.library.cache_clear()
            hashes.append(model.backends()[0].conditions)
            if len(hashes) == 2:
                shutil.rmtree(tmp_path)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" for ")[0].partition(" in ")[0] for line in lines] == [
        *("compiling MGU.step", "compiled MGU.step"),
        *("compiling MGU.step", "compiled MGU.step"),
    ]
    assert len(set(hashes)) == 1


def test_a_second_derivative_is_refused():
    x = torch.randn(2, 3, 5, requires_grad=True)
    y, _ = Recurrent(Peephole, 5, hidden_size=8, backend="compiled")(x)
    with pytest.raises(RuntimeError, match="compiled cannot be differentiated twice"):
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


def measuring(self, x, recur, state):
    return (torch.tanh(x + recur(state[0])) * (1 + sum(x.detach().flatten().tolist())),)


def depending(self, x, recur, state):
    return (torch.tanh(x + recur(state[0])) * self.options.slope,)


def from_outside(self, x, recur, state):
    return (torch.tanh(x + recur(state[0]) * OUTSIDE),)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (drawing, "draws random numbers"),
        (looking, "looks at the values of a tensor"),
        (multiplying, "uses aten.mm.default"),
        (normalising, "sums over units (aten.sum.dim_IntList)"),
        (measuring, "does another thing at each call, or with another number of rows"),
        (depending, "may depend on self.options, which holds SimpleNamespace"),
        (by_rows, "does another thing at each call, or with another number of rows"),
        (across, "has a value whose first axis is not the batch"),
        (flipping, "uses aten.flip"),
        (remembering, "changes its cell"),
        (from_outside, "uses a tensor that is neither its argument nor a parameter or buffer of its cell"),
    ],
)
def test_what_cannot_be_compiled_runs_as_it_is_and_says_why(step, reason):
    cell = cell_of(step)
    cell.options = SimpleNamespace(slope=2.0) if step is depending else None
    found = unavailable_reason(cell, CPU, Options(4, False, False, (None,), torch.float32))
    assert found.startswith(reason)


def test_a_changed_attribute_is_traced_anew(monkeypatch):
    cell, options = cell_of(Plain.step), Options(4, False, False, (None,), torch.float32)
    before = loop._program(cell, CPU, options)
    assert loop._program(cell, CPU, options) is before
    cell.slope = 2.0
    assert loop._program(cell, CPU, options).source.text != before.source.text
    monkeypatch.setattr(loop, "MOST_PROGRAMS", 2)
    cell.slope = 3.0
    assert unavailable_reason(cell, CPU, options) == "changes too often to be compiled"


def test_a_parameter_that_is_trained_later_has_its_gradient():
    model = Recurrent(Peephole, 5, hidden_size=8, backend="compiled")
    slope = model.layers[0][0].cell.slope.requires_grad_(False)
    model(torch.randn(2, 3, 5))[0].sum().backward()
    assert slope.grad is None
    slope.requires_grad_(True)
    model(torch.randn(2, 3, 5))[0].sum().backward()
    assert slope.grad.abs() > 0


def test_a_cell_that_changes_after_all_runs_as_it_is_and_says_so_once(caplog):
    model = Recurrent(lambda size: cell_of(Plain.step), 5, hidden_size=8, backend="compiled")
    model.layers[0][0].cell.slope = SimpleNamespace(value=1.0)
    model.layers[0][0].cell.step = lambda x, recur, state: (torch.tanh(x + recur(state[0])),)
    with caplog.at_level(logging.WARNING, "seqkit"):
        for _ in range(2):
            model(torch.randn(2, 3, 5))[0].sum().backward()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        "the compiled backend: Own may depend on self.slope, which holds SimpleNamespace; its steps run one by one"
    )


def test_without_a_compiler_it_says_so(monkeypatch):
    monkeypatch.setenv("CC", "no-such-cc")
    reason = "is not compiled, as no C compiler was found (no-such-cc)"
    model = Recurrent(MGU, 5, hidden_size=64)
    assert model.backends()[0].reason == f"torch has no kernel for MGU, so its step runs; MGU.step {reason}"
    with pytest.raises(ConfigError) as error:
        Recurrent(MGU, 5, hidden_size=64, backend="compiled")
    assert str(error.value) == f"model.backend=compiled: MGU.step {reason}; use model.backend=auto"

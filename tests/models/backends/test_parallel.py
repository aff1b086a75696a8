"""backend=parallel against the reference backend, in float64."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seqkit.errors import ConfigError
from seqkit.models import Recurrent
from seqkit.models.backends import parallel
from seqkit.models.cells.diagonal_gru import DiagonalGRU
from seqkit.models.cells.diagonal_lstm import DiagonalLSTM
from seqkit.models.cells.elman import Elman

torch.set_num_threads(1)


class Traced(nn.Module):
    """A plugin's own: two states of which each depends on both, a gate without a place in the first, its own weights.

    m_t = a * m_{t-1} + (1 - a) * h_{t-1}, a = sigmoid(decay)
    w_t = sigmoid(W_w x_t + b_w + u_w * m_t)
    h_t = (1 - w_t) * h_{t-1} + w_t * tanh(W_n x_t + b_n + u_n * h_{t-1} - m_{t-1})
    """

    gates = "write", "candidate"
    states = "hidden", "trace"
    recurrent = "diagonal"

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.zeros(hidden_size))

    def step(self, x_BG, recur, state):
        h, m = state
        x_w, x_n = x_BG.chunk(2, dim=1)
        new = torch.lerp(h, m, torch.sigmoid(self.decay))
        w = torch.sigmoid(x_w + recur(new, "write"))
        return torch.lerp(h, torch.tanh(x_n + recur(h, "candidate") - m), w), new


class Skipping(nn.Module):
    """One that wants x, and has a state that no next step reads."""

    gates = ("hidden",)
    states = "hidden", "kept"
    recurrent = "diagonal"
    wants_input = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.skip = nn.Linear(input_size, hidden_size)

    def step(self, x_BI, project, recur, state):
        kept = torch.tanh(project(x_BI) + recur(state[0]))
        return kept + self.skip(x_BI), kept


CELLS = {"lstm": DiagonalLSTM, "gru": DiagonalGRU, "traced": Traced, "skipping": Skipping}


def make(cell, backend="parallel", scale=1.0, **options):
    torch.manual_seed(0)
    model = Recurrent(cell, 3, backend=backend, **{"hidden_size": 4, **options}).double()
    for weight in model.parameters():
        nn.init.uniform_(weight, -scale, scale)
    return model


def outcome(model, x_BTI, lengths_B=None, state=None):
    """Return outputs, state and all gradients."""
    x_BTI = x_BTI.clone().requires_grad_()
    state = None if state is None else tuple(part.clone().requires_grad_() for part in state)
    torch.manual_seed(1)
    y, after = model(x_BTI, lengths_B, state)
    loss = y.sin().sum() + sum(part.cos().sum() for part in after)
    inputs = [x_BTI, *model.parameters(), *(state or ())]
    return [y, *after, *torch.autograd.grad(loss, inputs, allow_unused=True)]


def both(cell, *inputs, scale=1.0, **options):
    return [outcome(make(cell, backend, scale, **options), *inputs) for backend in ("parallel", "reference")]


def same(found, due):
    for one, other in zip(found, due, strict=True):
        if one is not None or other is not None:  # of a state that no step reads: zero here, none there
            zero = torch.zeros_like(other if one is None else one)
            torch.testing.assert_close(*(zero if part is None else part for part in (one, other)), rtol=1e-9, atol=1e-9)


@pytest.fixture
def never_one_by_one(monkeypatch):
    monkeypatch.setattr(Recurrent, "_say_once", lambda self, line: pytest.fail(line))


def compare(data, longest):
    cell = CELLS[data.draw(st.sampled_from(sorted(CELLS)), "cell")]
    T = round(2 ** data.draw(st.floats(0, longest), "log2 steps"))
    B, H = data.draw(st.integers(1, 3), "batch"), data.draw(st.integers(1, 4), "hidden")
    share = st.sampled_from([0.0, 0.3])
    options = {
        "hidden_size": H,
        "num_layers": data.draw(st.integers(1, 2), "layers") if T < 200 else 1,
        "bidirectional": T < 200 and data.draw(st.booleans(), "both directions"),
        "learned_state": data.draw(st.booleans(), "learned state"),
        **{name: data.draw(share, name) for name in ("zoneout", "variational_dropout", "weight_dropout")},
    }
    torch.manual_seed(data.draw(st.integers(0, 99), "seed"))
    x_BTI = torch.randn(B, T, 3, dtype=torch.float64)
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=B, max_size=B), "lengths")
    state = make(cell, **options).initial_state(B) if data.draw(st.booleans(), "carried") else None
    state = state and tuple(torch.rand_like(part) - 0.5 for part in state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "IN_CACHE", 1)
        patch.setattr(parallel, "SHORTEST", data.draw(st.sampled_from([3, 64, 1000]), "steps at once"))
        same(*both(cell, x_BTI, None if lengths is None else torch.tensor(lengths), state, **options))


@settings(max_examples=20, deadline=None)
@given(data=st.data())
@pytest.mark.usefixtures("never_one_by_one")
def test_values_and_all_gradients_are_those_of_the_reference(data):
    compare(data, 6)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(data=st.data())
@pytest.mark.usefixtures("never_one_by_one")
def test_so_they_are_over_many_steps(data):
    compare(data, 14.3)


@pytest.mark.parametrize("cell", [DiagonalLSTM, DiagonalGRU, Traced])
@pytest.mark.usefixtures("never_one_by_one")
def test_hundreds_of_steps(cell):
    same(*both(cell, torch.randn(1, 700, 3, dtype=torch.float64)))


@pytest.mark.usefixtures("never_one_by_one")
def test_without_gradients_it_is_the_same_and_in_inference_mode_too():
    model, x_BTI = make(DiagonalLSTM), torch.randn(2, 200, 3, dtype=torch.float64)
    due, _ = model(x_BTI)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            y, state = model(x_BTI)
            y_one, _ = model(x_BTI[:, :1], None, state)
        torch.testing.assert_close(y, due)
        assert y_one.shape == (2, 1, 4)


@pytest.mark.usefixtures("never_one_by_one")
def test_where_it_does_not_converge_over_many_steps_it_takes_fewer(monkeypatch):
    tried, newton = [], parallel._newton

    def refuse_many(system, first, x_WBX, *rest):
        tried.append(len(x_WBX))
        if len(x_WBX) > 30:
            raise parallel.NotSolved("does not converge")
        return newton(system, first, x_WBX, *rest)

    monkeypatch.setattr(parallel, "_newton", refuse_many)
    monkeypatch.setattr(parallel, "SHORTEST", 16)
    same(*both(DiagonalGRU, torch.randn(1, 100, 3, dtype=torch.float64), zoneout=0.2))
    assert tried == [100, 50, 25, 25, 25, 25]


def lines_of(caplog, model, x_BTI):
    with caplog.at_level(logging.WARNING, "seqkit"):
        found = [outcome(model, x_BTI) for _ in range(2)]
    same(*found)
    return found[0], [record.getMessage() for record in caplog.records]


def test_where_it_does_not_converge_the_steps_run_one_by_one_which_is_said_once(caplog, monkeypatch):
    monkeypatch.setattr(parallel, "ITERATIONS", 2)
    x_BTI = torch.randn(1, 200, 3, dtype=torch.float64)
    found, lines = lines_of(caplog, make(DiagonalGRU, num_layers=2), x_BTI)
    same(found, outcome(make(DiagonalGRU, "reference", num_layers=2), x_BTI))
    said = "the parallel backend: DiagonalGRU does not converge in 2 iterations; its steps run one by one"
    assert lines == [said]


def test_numbers_that_are_none_come_out_as_of_the_reference(caplog):
    x_BTI = torch.randn(1, 70, 3, dtype=torch.float64)
    x_BTI[0, 50] = float("nan")
    with caplog.at_level(logging.WARNING, "seqkit"):
        y, due = (make(DiagonalLSTM, backend)(x_BTI)[0] for backend in ("parallel", "reference"))
    torch.testing.assert_close(y, due, equal_nan=True)
    assert y[0, :50].isfinite().all()
    assert "DiagonalLSTM leaves the range of numbers" in caplog.text


class Mixing(Elman):
    """States a diagonal recurrence, and has another one beside it."""

    recurrent = "diagonal"

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.other = nn.Parameter(torch.zeros(hidden_size, hidden_size))

    def step(self, x_BG, recur, state):
        return (torch.tanh(x_BG + recur(state[0]) + state[0] @ self.other),)


class AcrossRows(Elman):
    recurrent = "diagonal"

    def step(self, x_BG, recur, state):
        return (torch.tanh(x_BG + recur(state[0]) + state[0].mean(0) / 1000),)


@pytest.mark.parametrize("cell", [Mixing, AcrossRows])
def test_a_step_that_is_not_diagonal_is_seen(caplog, cell):
    x_BTI = torch.randn(2, 20, 3, dtype=torch.float64)
    found, lines = lines_of(caplog, make(cell, scale=0.5), x_BTI)
    same(found, outcome(make(cell, "reference", scale=0.5), x_BTI))
    (line,) = lines
    assert line == (
        f"the parallel backend: {cell.__name__} has a step in which units or rows see each other; "
        "its steps run one by one"
    )


def test_a_single_pair_of_units_that_see_each_other_is_seen(caplog):
    model = make(Mixing)
    with torch.no_grad():
        model.layers[0][0].cell.other.zero_()[2, 3] = 0.1
    assert len(lines_of(caplog, model, torch.randn(2, 20, 3, dtype=torch.float64))[1]) == 1


def test_without_a_tolerance_the_steps_run_one_by_one(caplog):
    x_BTI = torch.randn(2, 9, 3, dtype=torch.bfloat16)
    y, due = (make(DiagonalGRU, backend).bfloat16()(x_BTI)[0] for backend in ("parallel", "reference"))
    torch.testing.assert_close(y, due, rtol=0, atol=0)
    assert (
        "DiagonalGRU runs in torch.bfloat16, and only torch.float32 and torch.float64 have a tolerance" in caplog.text
    )


def test_weights_of_inference_mode_run_one_by_one(caplog):
    with torch.inference_mode():
        model = make(DiagonalGRU)
        model(torch.randn(2, 9, 3, dtype=torch.float64))
    assert "DiagonalGRU has weights or masks made in inference mode, so no derivatives" in caplog.text


def test_in_half_precision_around_it_the_recurrence_is_in_float32():
    model, x_BTI = make(DiagonalLSTM).float(), torch.randn(2, 30, 3)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = model(x_BTI)
        y.sum().backward()
    torch.testing.assert_close(y, model(x_BTI)[0], rtol=0, atol=0.1)
    assert state[0].dtype == torch.float32


def test_it_cannot_be_differentiated_twice():
    model = make(DiagonalGRU)
    y, _ = model(torch.randn(2, 9, 3, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="parallel cannot be differentiated twice"):
        torch.autograd.grad(y.sum(), [model.layers[0][0].weight_hh], create_graph=True)


class Shaped(Elman):
    recurrent = "diagonal"

    def state_shapes(self, hidden_size):
        return {"hidden": (hidden_size,)}


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        (Elman, {}, "Elman has only native, compiled, reference"),
        (Shaped, {}, "Shaped has only compiled, reference"),
        (
            DiagonalGRU,
            {"layer_norm": True},
            "layer_norm lets the units of a layer see each other; use model.backend=auto",
        ),
    ],
)
def test_where_it_would_not_be_exact_it_is_refused(cell, options, message):
    with pytest.raises(ConfigError) as error:
        Recurrent(cell, 3, backend="parallel", **options)
    assert str(error.value) == f"model.backend=parallel: {message}"

"""The contract of a model over everything registered, a plugin author's cell, and what registration refuses."""

import copy
import io

import pytest
import torch
from torch import Tensor, nn

from seqkit import registry, schema
from seqkit.errors import ConfigError, PluginError
from seqkit.models import Recurrent, register_cell

torch.set_num_threads(1)


class MGU(nn.Module):
    """Minimal gated unit (Zhou et al. 2016), as a plugin's author would write it."""

    gates = "forget", "candidate"
    states = ("hidden",)

    def step(self, x_BG, recur, state):
        (h_BH,) = state
        x_f, x_n = x_BG.chunk(2, dim=1)
        f = torch.sigmoid(x_f + recur(h_BH, "forget"))
        n = torch.tanh(x_n + recur(f * h_BH, "candidate"))
        return ((1 - f) * h_BH + f * n,)


@pytest.fixture
def registered(monkeypatch):
    """The registered models, of which the test may add some for itself."""
    registry.load_built_in()
    models = dict(registry._components["model"])
    monkeypatch.setitem(registry._components, "model", models)
    return models


@pytest.fixture
def build(registered):
    register_cell("mgu")(MGU)

    def build(name: str, **options):
        torch.manual_seed(0)
        model = registry.build("model", {"name": name, "hidden_size": 4, **options}, 3).double()
        for weight in model.parameters():  # nothing may stay zero, or it would not be tested
            nn.init.uniform_(weight, -1, 1)
        return model

    return build


NAMES = [*registry.names("model"), "mgu"]
DIAGONAL = ["diagonal_lstm", "diagonal_gru"]  # without a matrix U, and what only that has
every_model = pytest.mark.parametrize("name", NAMES)
with_matrix = pytest.mark.parametrize("name", [name for name in NAMES if name not in DIAGONAL])


def of(name, options):
    """Return the options that a cell has: a diagonal one has no projection."""
    return {key: value for key, value in options.items() if key != "projection_size" or name not in DIAGONAL}


every_shape = pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}], ids=str
)


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def initial(model, batch: int) -> tuple[Tensor, ...]:
    _, state = model(draw(batch, 1, 3))
    return tuple(draw(*part.shape, seed=number) for number, part in enumerate(state))


def same(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@every_model
@every_shape
def test_shapes_are_those_of_the_contract(build, name, options):
    model = build(name, **options)
    y_BTO, state = model(draw(2, 5, 3))
    directions = 1 + options.get("bidirectional", False)
    assert model.output_size == directions * 4
    assert model.causal == (directions == 1)
    assert y_BTO.shape == (2, 5, model.output_size)
    for part in state:
        assert part.shape == (options.get("num_layers", 1) * directions, 2, 4)


@every_model
@every_shape
def test_padding_and_batch_change_nothing(build, name, options):
    """A padded batch has the outputs, states and gradients of its rows run one by one."""
    model = build(name, **options)
    lengths = [5, 1, 3, 0]
    x = draw(4, 5, 3)
    start = initial(model, 4)
    for row, length in enumerate(lengths):
        x[row, length:] = float("nan")
    y, state = model(x, torch.tensor(lengths), start)
    (y.sum() + sum(part.sum() for part in state)).backward()
    together = {key: weight.grad.clone() for key, weight in model.named_parameters()}

    model.zero_grad()
    for row, length in enumerate(lengths):
        assert (y[row, length:] == 0).all()
        alone = tuple(part[:, row : row + 1] for part in start)
        if length:
            y_row, alone = model(x[row : row + 1, :length], None, alone)
            same(y[row : row + 1, :length], y_row)
            (y_row.sum() + sum(part.sum() for part in alone)).backward()
        for part, part_row in zip(state, alone, strict=True):
            same(part[:, row : row + 1], part_row)
    for key, weight in model.named_parameters():
        same(together[key], weight.grad)


@every_model
def test_carried_state_makes_chunks_equal_the_whole(build, name):
    model = build(name, num_layers=2)
    x = draw(2, 7, 3)
    whole, after = model(x)
    state, parts = None, []
    for chunk in x.split([1, 4, 2], dim=1):
        y, state = model(chunk, None, state)
        parts.append(y)
    same(torch.cat(parts, 1), whole)
    for part, expected in zip(state, after, strict=True):
        same(part, expected)


@every_model
@pytest.mark.parametrize("bidirectional", [False, True])
def test_causal_says_whether_the_future_is_seen(build, name, bidirectional):
    model = build(name, num_layers=2, bidirectional=bidirectional)
    x = draw(1, 6, 3)
    future = x.clone()
    future[:, 4:] += 1
    unchanged = torch.equal(model(x)[0][:, :4], model(future)[0][:, :4])
    assert unchanged == model.causal


@every_model
def test_state_dict_round_trip(build, name):
    model, other = build(name, num_layers=2), build(name, num_layers=2)
    for weight in other.parameters():
        nn.init.zeros_(weight)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(draw(2, 5, 3))[0], model(draw(2, 5, 3))[0])
    assert torch.equal(copy.deepcopy(model)(draw(2, 5, 3))[0], model(draw(2, 5, 3))[0])


@every_model
def test_all_loops_of_a_cell_agree(build, name):
    x, lengths = draw(3, 6, 3), torch.tensor([6, 2, 4])
    reference = build(name, num_layers=2, bidirectional=True, backend="reference")
    for backend in ("auto", "native", "fused"):
        try:
            model = build(name, num_layers=2, bidirectional=True, backend=backend)
        except ConfigError:
            continue
        same(model(x, lengths)[0], reference(x, lengths)[0])


@every_model
def test_dropout_is_between_layers_in_training_and_drawn_by_torch(build, name):
    x = draw(2, 5, 3)
    one, two = build(name, dropout=0.5), build(name, dropout=0.5, num_layers=2)
    assert torch.equal(one(x)[0], one(x)[0])  # no second layer, so nothing to drop
    assert not torch.equal(two(x)[0], two(x)[0])
    torch.manual_seed(3)
    first = two(x)[0]
    torch.manual_seed(3)
    assert torch.equal(two(x)[0], first)
    assert torch.equal(two.eval()(x)[0], two(x)[0])


@every_model
@pytest.mark.parametrize("lengths", [None, torch.tensor([5, 3])], ids=["whole", "padded"])
def test_autocast_takes_and_returns_state(build, name, lengths):
    model = build(name, num_layers=2).float()
    x = draw(2, 5, 3).float()
    expected, _ = model(x, lengths, model(x, lengths)[1])
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = model(x, lengths, model(x, lengths)[1])
        y.float().sum().backward()
        _, half = model(x)
    model(x, lengths, half)  # a state left in half precision goes on without autocast
    torch.testing.assert_close(y.float(), expected, rtol=0, atol=0.1)
    assert all(weight.grad.dtype == torch.float32 for weight in model.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"hiden_size": 8},
            "no option 'hiden_size' in model=lstm. Did you mean 'hidden_size'? "
            "Options: hidden_size, num_layers, bidirectional, projection_size, residual, dropout, locked_dropout, variational_dropout, weight_dropout, zoneout, zoneout_cell, layer_norm, learned_state, forget_bias, recurrent_init, backend",
        ),
        ({"hidden_size": 0}, "model.hidden_size=0: input should be greater than 0"),
        ({"dropout": 1.0}, "model.dropout=1.0: input should be less than 1"),
        (
            {"backend": "fast"},
            "model.backend=fast: choose one of 'auto', 'native', 'fused', 'compiled', 'parallel', 'reference'",
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError) as error:
        registry.build("model", {"name": "lstm", **options}, 3)
    assert str(error.value) == message


@every_model
def test_every_option_is_explained(build, name):
    component = registry.find("model", name)
    for option in schema.options(component.factory):
        assert f"\n    {option.name}: " in component.doc


# --- what does not fit


def test_wrong_shapes_are_refused(build):
    model = build("lstm")
    with pytest.raises(ValueError, match=r"^input is \(2, 5, 4\), not \(batch, 1 step or more, 3 features\)$"):
        model(draw(2, 5, 4))
    with pytest.raises(ValueError, match=r"^input is \(2, 0, 3\), not \(batch, 1 step or more, 3 features\)$"):
        model(draw(2, 0, 3))
    with pytest.raises(
        ValueError, match=r"^state is \(1, 1, 4\), \(1, 1, 4\), not hidden \(1, 2, 4\), cell \(1, 2, 4\)$"
    ):
        model(draw(2, 5, 3), None, (draw(1, 1, 4), draw(1, 1, 4)))


def test_unknown_gate_is_refused(registered):
    class Typo(MGU):
        def step(self, x_BG, recur, state):
            return (recur(state[0], "candiate"),)

    with pytest.raises(ConfigError) as error:
        Recurrent(Typo, 3, hidden_size=4)(torch.zeros(2, 5, 3))
    assert str(error.value) == "no gate 'candiate'. Did you mean 'candidate'? Known: candidate, forget"


def step_returning(what):
    """A cell whose step returns ``what(h_BH, c_BH)``."""

    class Wrong(nn.Module):
        gates = ("a",)
        states = "hidden", "cell"

        def step(self, x_BG, recur, state):
            return what(*state)

    return Wrong


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda h, c: (h, c[:, :2]), "returned the state 'cell' with shape (2, 2), not (2, 4)"),
        (lambda h, c: (h.double(), c), "returned the state 'hidden' with dtype torch.float64, not torch.float32"),
        (lambda h, c: (h, c.to("meta")), "returned the state 'cell' with device meta, not cpu"),
        (lambda h, c: h, "returned Tensor; it must return a tuple of hidden, cell"),
        (lambda h, c: (h,), "returned 1 values; it must return a tuple of hidden, cell"),
        (lambda h, c: (h, None), "returned NoneType for the state 'cell', not a tensor"),
    ],
)
def test_step_that_returns_no_state_is_refused_when_built(what, message):
    with pytest.raises(PluginError) as error:
        Recurrent(step_returning(what), 3, hidden_size=4)
    assert str(error.value) == f"Wrong.step {message}"


def test_step_that_fails_is_named_when_built():
    with pytest.raises(
        PluginError, match=r"^Wrong\.step fails \(.*test_stack\.py:\d+\): RuntimeError: The size of ten"
    ):
        Recurrent(step_returning(lambda h, c: (h + h[:, :3], c)), 3, hidden_size=4)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lstm", {"projection_size": 8}, "model.projection_size=8: must be less than model.hidden_size=4"),
        ("lstm", {"projection_size": 4}, "model.projection_size=4: must be less than model.hidden_size=4"),
        ("lstm", {"zoneout": 1.5}, "model.zoneout=1.5: input should be less than 1"),
        ("gru", {"zoneout_cell": 0.5}, "model.zoneout_cell=0.5: GRU has no state but the hidden one; use model.zoneout"),
        ("gru", {"forget_bias": 2.0}, "model.forget_bias=2.0: GRU has no gate named forget; set model.forget_bias=null"),
        ("lstm", {"layer_norm": True, "hidden_size": 1}, "model.layer_norm=true: one hidden unit has nothing to be normalised over"),
        ("lstm", {"backend": "native", "zoneout": 0.1, "layer_norm": True}, "model.backend=native: torch's kernels know no zoneout or layer_norm; use model.backend=auto"),
        ("lstm", {"backend": "native", "variational_dropout": 0.1}, "model.backend=native: torch's kernels know no variational_dropout; use model.backend=auto"),
    ],
)  # fmt: skip
def test_options_that_exclude_each_other_are_refused(build, name, options, message):
    with pytest.raises(ConfigError) as error:
        build(name, **options)
    assert str(error.value) == message


def test_step_that_changes_its_state_in_place_is_refused_when_built():
    def in_place(h, c):
        h += 1
        return h, c

    with pytest.raises(PluginError) as error:
        Recurrent(step_returning(in_place), 3, hidden_size=4)
    assert str(error.value) == "Wrong.step changes the state 'hidden' in place; it must compute a new one"


def test_cell_without_super_init_is_refused():
    class Forgot(MGU):
        def __init__(self, hidden_size: int) -> None:
            self.scale = nn.Parameter(torch.ones(hidden_size))

    class Empty(MGU):
        def __init__(self, hidden_size: int) -> None:
            self.size = hidden_size

    for cell in (Forgot, Empty):
        with pytest.raises(PluginError) as error:
            Recurrent(cell, 3, hidden_size=4)
        assert str(error.value) == f"{cell.__name__}.__init__ must call super().__init__() first"


def test_a_subclass_that_changes_the_step_runs_its_own():
    from seqkit.models.cells.lstm import LSTM

    class Seven(LSTM):
        def step(self, x_BG, recur, state):
            h_BH, c_BH = super().step(x_BG, recur, state)
            return 0 * h_BH + 7, c_BH

    model = Recurrent(Seven, 3, hidden_size=4)
    assert (model(torch.zeros(2, 5, 3))[0] == 7).all()
    assert model.backends()[0].name == "reference"

    class Same(LSTM):
        """Nothing changed."""

    assert Recurrent(Same, 3, hidden_size=257).backends()[0].name == "native"


def test_a_subclass_of_another_structure_runs_its_own():
    from seqkit.models.cells.elman import Elman

    class InInit(Elman):
        def __init__(self, hidden_size: int) -> None:
            super().__init__()
            self.recurrent = "diagonal"

    for cell in (type("InClass", (Elman,), {"recurrent": "diagonal"}), InInit):
        model, x = Recurrent(cell, 3, hidden_size=4), torch.ones(1, 2, 3)
        assert model.backends()[0].name == "reference"
        direction, y = model.layers[0][0], model(x)[0]
        first = torch.tanh(direction.weight_ih.sum(1) + direction.bias_ih + direction.bias_hh)
        again = direction.weight_ih.sum(1) + direction.bias_ih + direction.weight_hh * first + direction.bias_hh
        torch.testing.assert_close(y[0], torch.stack([first, torch.tanh(again)]))


@pytest.mark.parametrize(
    "lengths",
    [torch.tensor([5]), torch.tensor([5, -1]), torch.tensor([6, 3]), torch.tensor([5.0, 3.0]), [5, 3]],
    ids=str,
)
def test_wrong_lengths_are_refused(build, lengths):
    with pytest.raises(ValueError, match="^lengths must be a tensor of 2 whole numbers from 0 to 5, not "):
        build("lstm")(draw(2, 5, 3), lengths)


def test_input_of_another_dtype_is_refused(build):
    with pytest.raises(ValueError, match="^input is torch.float32; the model computes in torch.float64$"):
        build("lstm")(draw(2, 5, 3).float())


@pytest.mark.parametrize("name", ["lstm", "peephole_lstm", "gru"])
def test_half_precision_parameters_run(build, name):
    model = build(name).to(torch.bfloat16)
    y, _ = model(draw(2, 5, 3).to(torch.bfloat16))
    y.sum().backward()
    torch.testing.assert_close(y.double(), build(name)(draw(2, 5, 3))[0], rtol=0, atol=0.1)


def test_a_cell_may_set_its_own_weights():
    class Own(MGU):
        forget_bias = -1.0

        def initialise(self, part):
            nn.init.eye_(part("weight_hh", "candidate"))
            part("bias_ih", "candidate").fill_(0.5)

    direction = Recurrent(Own, 3, hidden_size=4).layers[0][0]
    assert torch.equal(direction.weight_hh[4:], torch.eye(4))
    assert torch.equal(direction.bias_ih, torch.tensor([-1.0] * 4 + [0.5] * 4))
    given = Recurrent(Own, 3, hidden_size=4, forget_bias=2.0).layers[0][0]
    assert torch.equal(given.bias_ih[:4], torch.full((4,), 2.0))

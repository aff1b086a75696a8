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


every_model = pytest.mark.parametrize("name", [*registry.names("model"), "mgu"])
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
    reference = build(name, num_layers=2, bidirectional=True, loop="loop")
    for loop in ("auto", "kernel", "fused"):
        try:
            model = build(name, num_layers=2, bidirectional=True, loop=loop)
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


# --- registration


def test_build_takes_options_of_stack_and_cell(registered):
    model = registry.build("model", {"name": "lstm", "hidden_size": 8, "num_layers": 2, "forget_bias": 2.0}, 3)
    assert isinstance(model, Recurrent)
    direction = model.layers[1][0]
    assert direction.weight_ih.shape == (32, 8)
    forget = direction.part("bias_ih", "forget") + direction.part("bias_hh", "forget")
    assert torch.equal(forget, torch.full((8,), 2.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"hiden_size": 8},
            "no option 'hiden_size' in model=lstm. Did you mean 'hidden_size'? "
            "Options: hidden_size, num_layers, bidirectional, dropout, loop, forget_bias",
        ),
        ({"hidden_size": 0}, "model.hidden_size=0: input should be greater than 0"),
        ({"dropout": 1.0}, "model.dropout=1.0: input should be less than 1"),
        ({"loop": "fast"}, "model.loop=fast: choose one of 'auto', 'kernel', 'fused', 'loop'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError) as error:
        registry.build("model", {"name": "lstm", **options}, 3)
    assert str(error.value) == message


@every_model
def test_every_option_is_explained(build, name):
    factory = registry.find("model", name).factory
    for option in schema.options(factory):
        assert f"\n    {option.name}: " in factory.__doc__


def test_docstring_joins_that_of_the_cell_and_the_stack(registered):
    component = registry.find("model", "peephole_lstm")
    assert component.summary.startswith("LSTM whose gates see the cell state")
    assert component.origin == "seqkit.models.peephole_lstm"
    assert component.factory.__doc__.count("Args:") == 1
    assert "h_t = o_t * tanh(c_t)" in component.factory.__doc__


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"gates": "a", "states": ("hidden",)}, "a cell needs 'gates', a tuple of names"),
        ({"gates": ("a",)}, "a cell needs 'states', a tuple of names"),
        ({"gates": ("a",), "states": ("hidden",)}, "a cell needs a method 'step'"),
    ],
)
def test_incomplete_cells_are_refused(registered, attributes, message):
    with pytest.raises(PluginError) as error:
        register_cell("half")(type("Half", (nn.Module,), attributes))
    assert str(error.value) == f"{__name__}.Half: {message}"
    assert "half" not in registered


def test_option_of_the_stack_in_a_cell_is_refused(registered):
    class Clash(MGU):
        def __init__(self, hidden_size: int, *, dropout: float = 0.0) -> None:
            super().__init__()

    with pytest.raises(PluginError, match=r"Clash: option 'dropout' is one of the stack's; call it something else$"):
        register_cell("clash")(Clash)


# --- loops


@pytest.mark.parametrize(
    ("name", "loop", "padded", "expected", "why"),
    [
        ("gru", "auto", False, "kernel", "torch's own kernels compute GRU exactly"),
        ("gru", "auto", True, "kernel", "torch's own kernels compute GRU exactly"),
        ("lstm", "auto", False, "kernel", "torch's own kernels compute LSTM exactly"),
        ("lstm", "auto", True, "fused", "on a CPU torch's kernel for LSTM is slow when lengths differ"),
        ("peephole_lstm", "auto", False, "fused", "torch has no kernel for PeepholeLSTM; this one has its gradient"),
        ("mgu", "auto", False, "loop", "MGU states its step and no faster loop"),
        ("lstm", "loop", False, "loop", "asked for by model.loop=loop"),
    ],
)
def test_loops_says_which_and_why(build, name, loop, padded, expected, why):
    layers = build(name, loop=loop, num_layers=2).loops(padded)
    assert [(layer.layer, layer.name) for layer in layers] == [(0, expected), (1, expected)]
    assert layers[0].why.startswith(why)


@pytest.mark.parametrize(
    ("name", "loop", "message"),
    [
        ("peephole_lstm", "kernel", "model.loop=kernel: PeepholeLSTM has only fused, loop"),
        ("gru", "fused", "model.loop=fused: GRU has only kernel, loop"),
        ("mgu", "kernel", "model.loop=kernel: MGU has only loop"),
    ],
)
def test_loop_that_the_cell_has_not_is_refused(build, name, loop, message):
    with pytest.raises(ConfigError) as error:
        build(name, loop=loop)
    assert str(error.value) == message


# --- what does not fit


def test_wrong_shapes_are_refused(build):
    model = build("lstm")
    with pytest.raises(ValueError, match=r"^input is \(2, 5, 4\), not \(batch, 1 step or more, 3 features\)$"):
        model(draw(2, 5, 4))
    with pytest.raises(ValueError, match=r"^input is \(2, 0, 3\), not \(batch, 1 step or more, 3 features\)$"):
        model(draw(2, 0, 3))
    with pytest.raises(
        ValueError, match=r"^state is \(1, 1, 4\), \(1, 1, 4\); hidden and cell must be \(1, 2, 4\) each$"
    ):
        model(draw(2, 5, 3), None, (draw(1, 1, 4), draw(1, 1, 4)))


def test_unknown_gate_is_refused(registered):
    class Typo(MGU):
        def step(self, x_BG, recur, state):
            return (recur(state[0], "candiate"),)

    with pytest.raises(ConfigError) as error:
        Recurrent(Typo, 3, hidden_size=4)(torch.zeros(2, 5, 3))
    assert str(error.value) == "no gate 'candiate'. Did you mean 'candidate'? Known: candidate, forget"

"""Recorded gates against every cell's equations, written out a second time for one sequence at a time."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import seqkit
from seqkit import registry
from seqkit.errors import ConfigError
from seqkit.models import Recurrent
from seqkit.models.record import record_gates
from tests.models.test_stack import MGU

# T time, I input, H hidden, G all gates of a cell together
H = 4


def build(name: str, input_size: int = 3, **options) -> Recurrent:
    torch.manual_seed(0)
    registry.load_built_in()
    options = {"hidden_size": H, **options}
    if name == "mgu":
        model = Recurrent(MGU, input_size, **options)
    else:
        model = registry.build("model", {"name": name, **options}, input_size)
    for weight in model.parameters():
        nn.init.uniform_(weight, -1, 1)
    return model.double().eval()


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def equations(name: str, direction, x_TI: Tensor, zoneout: float) -> tuple[dict[str, Tensor], Tensor]:
    """Each gate and state (T, H) of a sequence, in the order it is read in, and the output."""
    weight_GH = direction.weight_hh if direction.weight_hr is None else direction.weight_hh @ direction.weight_hr

    def norm(a, gain):
        return a if gain is None else torch.cat([F.layer_norm(part, (H,)) for part in a.split(H)]) * gain

    def of_input(x):
        return (norm(direction.weight_ih @ x, direction.gain_ih) + direction.bias_ih).split(H)

    def of_hidden(h):
        return (norm(weight_GH @ h, direction.gain_hh) + direction.bias_hh).split(H)

    h = c = torch.zeros(H, dtype=torch.float64)
    steps = []
    for x_t in x_TI:
        x, u = of_input(x_t), of_hidden(h)
        if name == "elman":
            new = torch.tanh(x[0] + u[0])
            gates = {"hidden": new}
        elif name == "gru":
            r, z = torch.sigmoid(x[0] + u[0]), torch.sigmoid(x[1] + u[1])
            n = torch.tanh(x[2] + r * u[2])
            new, gates = (1 - z) * n + z * h, {"reset": r, "update": z, "candidate": n}
        elif name == "mgu":
            f = torch.sigmoid(x[0] + u[0])
            n = torch.tanh(x[1] + of_hidden(f * h)[1])
            new, gates = (1 - f) * h + f * n, {"forget": f, "candidate": n}
        else:
            p = direction.cell.peephole if name == "peephole_lstm" else torch.zeros(3, H, dtype=torch.float64)
            a = [one + other for one, other in zip(x, u, strict=True)]
            i = None if name == "cifg_lstm" else torch.sigmoid(a.pop(0) + p[0] * c)
            f = torch.sigmoid(a[0] + p[1] * c)
            g = torch.tanh(a[1])
            c_new = f * c + (1 - f if i is None else i) * g
            o = torch.sigmoid(a[2] + p[2] * c_new)
            new = o * torch.tanh(c_new)
            gates = ({} if i is None else {"input": i}) | {"forget": f, "cell": g, "output": o}
            c = zoneout * c + (1 - zoneout) * c_new
        h = zoneout * h + (1 - zoneout) * new
        states = {"hidden": h, "cell": c} if "lstm" in name else {"hidden": h}
        steps.append({f"gate.{key}": v for key, v in gates.items()} | {f"state.{key}": v for key, v in states.items()})
    values = {key: torch.stack([step[key] for step in steps]) for key in steps[0]}
    output = values["state.hidden"]
    return values, output if direction.weight_hr is None else output @ direction.weight_hr.T


@pytest.mark.parametrize("options", [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "zoneout": 0.3},
    {"layer_norm": True, "bidirectional": True},
    {"num_layers": 2, "projection_size": 2, "bidirectional": True, "zoneout": 0.1, "layer_norm": True},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", ["lstm", "peephole_lstm", "cifg_lstm", "gru", "elman", "mgu"])
@torch.no_grad()
def test_every_value_is_that_of_the_equations(name, options):
    model = build(name, **options)
    lengths, x_BTI = [5, 1, 3], draw(3, 5, 3)
    outside, state_outside = model(x_BTI, torch.tensor(lengths))
    with record_gates(model) as gates:
        inside, state_inside = model(x_BTI, torch.tensor(lengths))
    for got, expected in zip((inside, *state_inside), (outside, *state_outside), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)

    expected_names = set()
    for row, length in enumerate(lengths):
        x_TI = x_BTI[row, :length]
        for number, layer in enumerate(model.layers):
            outputs = []
            for direction, way in zip(layer, ("forward", "backward"), strict=False):
                turn = (lambda part: part.flip(0)) if way == "backward" else (lambda part: part)
                values, output = equations(name, direction, turn(x_TI), options.get("zoneout", 0.0))
                outputs.append(turn(output))
                for key, value_TH in values.items():
                    key = f"layer{number}.{way}.{key}"
                    expected_names.add(key)
                    assert gates[key].shape == (3, 5, H)
                    torch.testing.assert_close(gates[key][row, :length], turn(value_TH), rtol=1e-10, atol=1e-12)
                    assert (gates[key][row, length:] == 0).all()
            x_TI = torch.cat(outputs, 1)
    assert set(gates) == expected_names


def test_calls_follow_each_other():
    model, x = build("lstm"), draw(2, 6, 3)
    with record_gates(model) as whole:
        model(x)
    with record_gates(model) as parts:
        _, state = model(x[:, :4])
        model(x[:, 4:], None, state)
    for key, value in whole.items():
        torch.testing.assert_close(parts[key], value, rtol=1e-10, atol=1e-12)
    with record_gates(model) as gates:
        model(x)
        model(x[:1])
    with pytest.raises(ConfigError) as error:
        gates["layer0.forward.gate.forget"]
    assert str(error.value) == (
        "'layer0.forward.gate.forget' was recorded in batches of 1 and 2 sequences, which do not follow each other; "
        "record each call by itself"
    )


def test_it_is_off_before_and_after_whatever_happens():
    model = build("lstm")
    assert model.recorder is None
    with record_gates(model) as outer:
        assert model.backends()[0][:3] == (0, "reference", "gates are being recorded")
        with record_gates(model) as inner:
            model(draw(1, 2, 3))
        model(draw(1, 3, 3))
    assert inner["layer0.forward.state.cell"].shape == (1, 2, H)
    assert outer["layer0.forward.state.cell"].shape == (1, 3, H)
    with pytest.raises(ValueError, match="^input is"), record_gates(model):
        model(draw(1, 2, 5))
    assert model.recorder is None
    assert model.backends()[0].name != "reference"
    model(draw(1, 4, 3))
    assert outer["layer0.forward.state.cell"].shape == (1, 3, H)


def test_training_draws_and_gradients_are_those_of_outside():
    model = build("lstm", num_layers=2, zoneout=0.3, dropout=0.2, variational_dropout=0.2, backend="reference").train()
    found = []
    for record in (False, True):
        torch.manual_seed(2)
        model.zero_grad()
        if record:
            with record_gates(model) as gates:
                y, _ = model(draw(2, 5, 3))
        else:
            y, _ = model(draw(2, 5, 3))
        y.square().sum().backward()
        found.append([y, *(weight.grad for weight in model.parameters())])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    assert not gates["layer0.forward.gate.forget"].requires_grad


def test_stacks_inside_other_modules_are_found():
    both = nn.ModuleDict({"fast": build("gru"), "slow": build("elman", num_layers=2)})
    with seqkit.record_gates(both) as gates:
        both["fast"](draw(1, 2, 3))
        both["slow"](draw(3, 4, 3))
    assert gates["fast.layer0.forward.gate.reset"].shape == (1, 2, H)
    assert gates["slow.layer1.forward.gate.hidden"].shape == (3, 4, H)
    with record_gates(nn.Sequential(both["fast"])) as gates:
        both["fast"](draw(1, 2, 3))
    assert "layer0.forward.gate.reset" in gates
    with pytest.raises(
        KeyError, match="no gate or state 'layer0.forward.gate.rest'. Did you mean 'layer0.forward.gate"
    ):
        gates["layer0.forward.gate.rest"]
    with pytest.raises(ConfigError) as error, record_gates(nn.Linear(1, 1)):
        pass
    assert str(error.value) == "record_gates: Linear holds no recurrent stack, which register_cell makes, so no gates"


# --- the ways in which a cell's author may write a step


def step_at_once(self, x_BG, recur, state):
    a, b = torch.sigmoid(x_BG + recur(state[0])).split(H, 1)
    return (a * b,)


def step_in_place(self, x_BG, recur, state):
    both = x_BG + recur(state[0])
    both[:, :H].sigmoid_()
    a, b = both.view(-1, 2, H).unbind(1)
    return (a * b.sigmoid(),)


def step_by_functions(self, x_BG, recur, state):
    both = (x_BG + recur(state[0])).unflatten(1, (2, H)).transpose(0, 1)
    a, b = F.sigmoid(both[0].contiguous()), nn.Sigmoid()(torch.lerp(both[1], both[1].clone(), 0.5))
    return (torch.mul(a, b),)


def step_one_by_one(self, x_BG, recur, state):
    a, b = (torch.special.expit(x_BG[..., i * H : (i + 1) * H] + recur(state[0], g)) for i, g in enumerate(self.gates))
    return (torch.where(b > 0, torch.tanh(a) * 0 + a * b, a),)


def cell(step, gates=("a", "b")):
    return type("Mine", (nn.Module,), {"gates": gates, "states": ("hidden",), "step": step})


@pytest.mark.parametrize("step", [step_at_once, step_in_place, step_by_functions, step_one_by_one])
@torch.no_grad()
def test_gates_are_found_however_the_step_is_written(step):
    torch.manual_seed(0)
    model = Recurrent(cell(step), 3, hidden_size=H).double()
    x, (direction,) = draw(2, 3, 3), model.layers[0]
    with record_gates(model) as gates:
        y, _ = model(x)
    before = torch.cat([torch.zeros(2, 1, H, dtype=torch.float64), y[:, :-1]], 1)
    both = torch.sigmoid(
        F.linear(x, direction.weight_ih, direction.bias_ih) + F.linear(before, direction.weight_hh, direction.bias_hh)
    )
    torch.testing.assert_close(gates["layer0.forward.gate.a"], both[..., :H], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gates["layer0.forward.gate.b"], both[..., H:], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(y, both[..., :H] * both[..., H:], rtol=1e-12, atol=1e-12)


def test_a_gate_without_an_activation_of_its_own_is_left_out():
    def step(self, x_BG, recur, state):
        a, b, c = (x_BG + recur(state[0])).chunk(3, 1)
        return (torch.tanh(a + b) * c.sigmoid(),)

    model = Recurrent(cell(step, ("a", "b", "c")), 3, hidden_size=H)
    with record_gates(model) as gates:
        y, _ = model(torch.randn(2, 3, 3))
    assert list(gates) == ["layer0.forward.gate.c", "layer0.forward.state.hidden"]
    assert torch.equal(gates["layer0.forward.state.hidden"], y)


class Stated(nn.Module):
    """A cell that states its gates by a method of its own, of which one has no activation to be traced."""

    gates = "forget", "raw"
    states = ("hidden",)

    def activations(self, x_BG, recur, state):
        f, n = (x_BG + recur(state[0])).chunk(2, dim=1)
        return {"forget": torch.sigmoid(f), "raw": n}

    def step(self, x_BG, recur, state):
        gate = self.activations(x_BG, recur, state)
        return (gate["forget"] * state[0] + (1 - gate["forget"]) * gate["raw"],)


def test_gates_that_a_cell_states_are_the_ones_it_used():
    torch.manual_seed(0)
    model, x = Recurrent(Stated, 3, hidden_size=4), torch.randn(2, 6, 3)
    with record_gates(model) as gates:
        y, _ = model(x)
    forget, raw = gates["layer0.forward.gate.forget"], gates["layer0.forward.gate.raw"]
    before = torch.cat((torch.zeros(2, 1, 4), y[:, :-1]), 1)
    torch.testing.assert_close(forget * before + (1 - forget) * raw, y)
    assert "activations" not in vars(model.layers[0][0].cell)
    torch.testing.assert_close(model(x)[0], y)


def test_a_subclass_whose_step_does_not_call_what_its_base_states_is_traced():
    class Own(Stated):
        def step(self, x_BG, recur, state):
            f, n = (x_BG + recur(state[0])).chunk(2, dim=1)
            return (torch.sigmoid(f) * torch.tanh(n),)

    model = Recurrent(Own, 3, hidden_size=4)
    with record_gates(model) as gates:
        model(torch.randn(2, 6, 3))
    assert [name for name in gates if ".gate." in name] == ["layer0.forward.gate.forget", "layer0.forward.gate.raw"]


def test_a_stated_gate_that_the_cell_does_not_have_is_refused():
    class Typo(Stated):
        gates = "forgt", "raw"

    model = Recurrent(Typo, 3, hidden_size=4)
    with record_gates(model), pytest.raises(ConfigError) as error:
        model(torch.randn(2, 6, 3))
    assert str(error.value) == "no gate of Typo 'forget'. Did you mean 'forgt'? Known: forgt, raw"

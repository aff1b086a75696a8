"""The trial step shows what would train in silence, and leaves the cell as it was."""

import pytest
import torch
from torch import nn

from seqkit.errors import ConfigError, PluginError
from seqkit.models import Recurrent


class Plain(nn.Module):
    gates = ("hidden",)
    states = ("hidden",)

    def step(self, x_BG, recur, state):
        return (torch.tanh(x_BG + recur(state[0])),)


class Product(Plain):
    def step(self, x_BG, recur, state):
        state[0].mul_(0.5)  # nothing to be seen where the state is zero
        return super().step(x_BG, recur, state)


class TimesOne(Plain):
    def step(self, x_BG, recur, state):
        state[0].mul_(1.0)  # nothing to be seen in the values at all
        return super().step(x_BG, recur, state)


class Counting(Plain):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def step(self, x_BG, recur, state):
        self.count += 1
        return super().step(x_BG, recur, state)


class Tanh(Plain):
    def step(self, x_BG, recur, state):
        return (state[0].tanh_() + 0 * super().step(x_BG, recur, state)[0],)


class Input(Plain):
    def step(self, x_BG, recur, state):
        x_BG += recur(state[0])
        return (torch.tanh(x_BG),)


class WantsInput(Plain):
    wants_input = True

    def step(self, x_BI, project, recur, state):
        u_BH = project(x_BI) + recur(state[0])
        x_BI.mul_(2)  # which the layer's input is, and what a residual connection adds
        return (torch.tanh(u_BH),)


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        (Product, "the state 'hidden'"),
        (TimesOne, "the state 'hidden'"),
        (Tanh, "the state 'hidden'"),
        (Input, "x_BG"),
        (WantsInput, "x_BI"),
    ],
)
def test_a_change_in_place_of_what_the_step_is_given_is_refused(cell, what):
    with pytest.raises(PluginError) as refusal:
        Recurrent(cell, 3, hidden_size=4)
    assert str(refusal.value) == f"{cell.__name__}.step changes {what} in place; it must compute a new one"


class Detached(Plain):
    def step(self, x_BG, recur, state):
        return (super().step(x_BG, recur, state)[0].detach(),)


class NoGradient(Plain):
    @torch.no_grad()
    def step(self, x_BG, recur, state):
        return super().step(x_BG, recur, state)


class NoU(Plain):
    def step(self, x_BG, recur, state):
        return (torch.tanh(x_BG + 0.5 * state[0]),)


class NoW(Plain):
    def step(self, x_BG, recur, state):
        return (torch.tanh(x_BG.detach() + recur(state[0])),)


class Forgotten(Plain):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(4, 4)


NOTHING = "no gradient reaches a weight from the output, so nothing would be trained"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Detached, f"Detached.step: {NOTHING}"),
        (NoGradient, f"NoGradient.step: {NOTHING}"),
        (NoU, "NoU.step does not use U: say so by recurrent = False, or by the gates that have one"),
        (NoW, "NoW.step: no gradient reaches weight_ih or bias_ih from the output"),
        (Forgotten, "Forgotten.step: no gradient reaches cell.mix.weight or cell.mix.bias from the output"),
    ],
)
def test_a_weight_that_the_output_does_not_depend_on_is_refused(cell, message):
    with pytest.raises(PluginError) as refusal:
        Recurrent(lambda size: cell(), 3, hidden_size=4)
    assert str(refusal.value) == message


def test_a_weight_that_shows_in_the_output_only_after_some_steps_is_no_fault():
    class Late(nn.Module):
        gates = ("hidden",)
        states = "late", "later", "hidden"

        def step(self, x_BG, recur, state):
            return state[1], state[2], torch.tanh(x_BG + recur(state[2]))

    Recurrent(Late, 3, hidden_size=4)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_model_is_built_without_gradients_too(mode):
    with mode():
        assert Recurrent(Plain, 3, hidden_size=4)(torch.ones(2, 5, 3))[0].shape == (2, 5, 4)


def test_a_frozen_parameter_is_no_fault():
    class Frozen(Forgotten):
        def __init__(self):
            super().__init__()
            self.mix.requires_grad_(False)

    Recurrent(lambda size: Frozen(), 3, hidden_size=4)


class Keeps(Plain):
    last = None

    def step(self, x_BG, recur, state):
        new = torch.tanh(x_BG + recur(state[0]) + (0 if self.last is None else self.last))
        self.last = new
        return (new,)


class KeepsInAList(Plain):
    def __init__(self):
        super().__init__()
        self.inner = nn.Module()
        self.inner.seen = []

    def step(self, x_BG, recur, state):
        new = torch.tanh(x_BG + recur(state[0]) + sum(self.inner.seen))
        self.inner.seen = [new]
        return (new,)


class KeepsInABuffer(Counting):
    def step(self, x_BG, recur, state):
        new = torch.tanh(x_BG + recur(state[0]) + self.count)
        self.count = new
        return (new,)


@pytest.mark.parametrize(("cell", "name"), [(Keeps, "last"), (KeepsInAList, "inner.seen"), (KeepsInABuffer, "count")])
def test_a_tensor_kept_with_its_graph_is_named(cell, name):
    with pytest.raises(PluginError) as refusal:
        Recurrent(lambda size: cell(), 3, hidden_size=4)
    advice = "with its graph from one call to the next; detach it, or make it a state"
    assert str(refusal.value) == f"{cell.__name__}.step keeps self.{name} {advice}"


class FaultyInit(Plain):
    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.table = [0][hidden_size]


class FaultyInitialise(Plain):
    def initialise(self, part):
        self.table = [0][part("bias_ih", "hidden").numel()]


class FaultyShapes(Plain):
    def state_shapes(self, hidden_size):
        return [0][hidden_size]


@pytest.mark.parametrize("cell", [FaultyInit, FaultyInitialise, FaultyShapes])
def test_a_fault_in_a_method_is_named_with_its_line(cell):
    method = next(name for name in ("__init__", "initialise", "state_shapes") if name in vars(cell))
    code = getattr(cell, method).__code__
    with pytest.raises(PluginError) as refusal:
        Recurrent(cell, 3, hidden_size=4)
    line = max(number for _, _, number in code.co_lines() if number)
    assert (
        str(refusal.value) == f"{cell.__name__}.{method} fails ({__file__}:{line}): IndexError: list index out of range"
    )


def test_a_part_that_there_is_not_is_refused():
    class Wrong(Plain):
        recurrent = False

        def initialise(self, part):
            nn.init.eye_(part("weight_hh", "hidden"))

    with pytest.raises(ConfigError, match="^no weight_hh of gate 'hidden'. Known: $"):
        Recurrent(Wrong, 3, hidden_size=4)


def test_a_step_that_calls_recur_without_a_u_is_refused():
    with pytest.raises(PluginError, match="^the step calls recur, and its cell says recurrent = False: it has no U$"):
        Recurrent(type("NoneOfIt", (Plain,), {"recurrent": False}), 3, hidden_size=4)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"slow": (4,)}, "state_shapes names 'slow'; its states: hidden, fast"),
        ({"fast": 4}, "state_shapes gives 'fast' 4, not a tuple of sizes"),
        ({"fast": (4, 0)}, "state_shapes gives 'fast' (4, 0), not a tuple of sizes"),
        ({"hidden": (4, 4)}, "the state 'hidden' is the output; its shape is (hidden_size,)"),
    ],
)
def test_wrong_shapes_of_states_are_refused(shapes, message):
    cell = type("Shapes", (Plain,), {"states": ("hidden", "fast"), "state_shapes": lambda self, hidden_size: shapes})
    with pytest.raises(PluginError) as refusal:
        Recurrent(cell, 3, hidden_size=4)
    assert str(refusal.value) == f"{__name__}.Shapes: {message}"


def test_the_trial_leaves_buffers_and_generators_alone():
    model = Recurrent(lambda size: Counting(), 3, hidden_size=4)
    assert int(model.layers[0][0].cell.count) == 0
    model(torch.randn(2, 5, 3))
    assert int(model.layers[0][0].cell.count) == 5
    torch.manual_seed(3)
    Recurrent(Plain, 3, hidden_size=4)
    after = torch.rand(())
    torch.manual_seed(3)
    for shape in ((4, 3), (4, 4), (4,), (4,)):
        torch.empty(shape).uniform_()
    assert torch.rand(()) == after


class Rebinding(Counting):
    def step(self, x_BG, recur, state):
        self.count = self.count + 1
        return Plain.step(self, x_BG, recur, state)


class Attribute(Plain):
    count = 0

    def step(self, x_BG, recur, state):
        self.count += 1
        return super().step(x_BG, recur, state)


@pytest.mark.parametrize("cell", [Counting, Rebinding, Attribute])
def test_a_step_that_counts_is_not_compiled(cell):
    model = Recurrent(lambda size: cell(), 3, hidden_size=64)
    assert f"; {cell.__name__}.step changes its cell" in model.backends()[0].reason
    model(torch.randn(2, 5, 3))
    assert int(model.layers[0][0].cell.count) == 5


def test_the_trial_leaves_attributes_alone():
    model = Recurrent(lambda size: Attribute(), 3, hidden_size=4)
    model(torch.randn(2, 5, 3))
    assert model.layers[0][0].cell.count == 5


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_cell_that_cannot_be_copied_can_be_used():
    class Normed(Plain):
        def __init__(self, hidden_size: int) -> None:
            super().__init__()
            self.mix = nn.utils.weight_norm(nn.Linear(hidden_size, hidden_size))

        def step(self, x_BG, recur, state):
            return (torch.tanh(x_BG + recur(state[0]) + self.mix(state[0])),)

    assert Recurrent(Normed, 3, hidden_size=4)(torch.randn(2, 5, 3))[0].shape == (2, 5, 4)

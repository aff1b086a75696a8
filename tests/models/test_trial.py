"""The trial step shows what would train in silence, and leaves the cell as it was."""

import pytest
import torch
from torch import nn

from seqkit.errors import PluginError
from seqkit.models import Recurrent
from seqkit.models.backends import torch_compile


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


@pytest.mark.parametrize("cell", [Product, TimesOne])
def test_a_state_changed_in_place_by_a_product_is_refused(cell):
    with pytest.raises(PluginError) as refusal:
        Recurrent(cell, 3, hidden_size=4)
    assert str(refusal.value) == f"{cell.__name__}.step changes the state 'hidden' in place; it must compute a new one"


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
def test_a_compiled_step_counts_the_steps_of_the_sequence_only(cell, monkeypatch):
    monkeypatch.setattr(torch_compile, "_compiled", lambda: torch_compile._step)
    model = Recurrent(lambda size: cell(), 3, hidden_size=4, compile=True)
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

"""model.compile=true, with torch.compile."""

import logging

import pytest
import torch
from torch import nn

from seqkit.errors import ConfigError
from seqkit.models import Recurrent
from seqkit.models.backends import torch_compile

torch.set_num_threads(1)


class Leaky(nn.Module):
    """h_t = (1 - a) h_{t-1} + a tanh(W x + U h), a = sigmoid of a learned vector."""

    gates = ("hidden",)
    states = ("hidden",)

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.leak = nn.Parameter(torch.zeros(hidden_size))

    def step(self, x_BG, recur, state):
        return (torch.lerp(state[0], torch.tanh(x_BG + recur(state[0])), torch.sigmoid(self.leak)),)


@pytest.mark.slow
def test_it_gives_the_same_and_says_how_long_the_first_call_took(caplog):
    torch.manual_seed(0)
    plain = Recurrent(Leaky, 3, hidden_size=8, num_layers=2)
    model = Recurrent(Leaky, 3, hidden_size=8, num_layers=2, compile=True)
    model.load_state_dict(plain.state_dict())
    x, found = torch.randn(2, 5, 3), []
    with caplog.at_level(logging.INFO, "seqkit"):
        for one in (plain, model):
            y = one(x)[0]
            found.append([y, *torch.autograd.grad(y.sin().sum(), list(one.parameters()))])
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("compiled Leaky.step: the first call took ")


def test_where_it_cannot_be_compiled_it_says_so(monkeypatch):
    def fails(*_):
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(torch_compile, "_compiled", lambda: fails)
    monkeypatch.setattr(torch_compile, "_called", set())
    with pytest.raises(ConfigError) as error:
        Recurrent(Leaky, 3, hidden_size=4, compile=True)(torch.zeros(2, 5, 3))
    assert str(error.value) == "model.compile=true: torch.compile fails on Leaky.step: no C++ compiler"


def test_it_is_refused_beside_another_loop():
    with pytest.raises(ConfigError) as error:
        Recurrent(Leaky, 3, hidden_size=4, compile=True, backend="fused")
    assert str(error.value) == "model.backend=fused: Leaky has only reference"
    from seqkit.models.cells.lstm import LSTM

    with pytest.raises(ConfigError) as error:
        Recurrent(LSTM, 3, hidden_size=4, compile=True, backend="fused")
    assert (
        str(error.value)
        == "model.compile=true compiles the reference backend's step; model.backend=fused does not run it"
    )


class Alternating(nn.Module):
    gates = "first", "second"
    states = ("hidden",)
    steps = 0

    def step(self, x_BG, recur, state):
        gate = self.gates[self.steps % 2]
        self.steps += 1
        return (torch.tanh(x_BG[:, : state[0].shape[1]] + recur(state[0], gate)),)


def test_a_step_whose_products_change_is_refused(monkeypatch):
    monkeypatch.setattr(torch_compile, "_compiled", lambda: torch_compile._step)
    with pytest.raises(ConfigError) as error:
        Recurrent(Alternating, 3, hidden_size=4, compile=True)(torch.zeros(2, 5, 3))
    assert str(error.value) == (
        "model.compile=true: Alternating.step takes other products at one step than at another; set model.compile=false"
    )

"""Plugins that are wrong somewhere are refused before the first step, in one line that says where."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import seqkit
from seqkit import registry
from seqkit.__main__ import run
from seqkit.padding import valid
from seqkit.tasks.forecast.head import Forecast
from tests.conftest import TINY

SKIP = "; trainer.dry_run=false trains without this check"
LOGGED = r"; its traceback is in runs/tiny/a/train\.log"


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})


class Mean(nn.Module):
    """A model that can be wrong: the running mean of its inputs, through a layer."""

    causal = True

    def __init__(self, input_size: int, *, hidden_size: int = 4) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.layer = nn.Linear(input_size, hidden_size)

    def steps(self, x_BTI):
        return self.layer(x_BTI)

    def forward(self, x_BTI, lengths=None, state=None):
        before = torch.zeros(1, len(x_BTI), self.output_size + 1) if state is None else state[0]
        inside_BT1 = valid(lengths, x_BTI)[..., None]
        y_BTH = self.steps(torch.where(inside_BT1, x_BTI, 0.0)) * inside_BT1
        count_BT1 = before[0, :, None, :1] + torch.arange(1, x_BTI.shape[1] + 1)[:, None]
        sum_BTH = before[0, :, None, 1:] + y_BTH.cumsum(1)
        last = torch.full((len(x_BTI),), x_BTI.shape[1] - 1) if lengths is None else lengths - 1
        rows = torch.arange(len(x_BTI))
        after = torch.cat((count_BT1.expand(len(x_BTI), -1, 1)[rows, last], sum_BTH[rows, last]), 1)
        return sum_BTH / count_BT1, (after[None],)


class Plain(Forecast):
    """A head that can be wrong."""


def refusal(capsys, *words: str) -> str:
    """Return the one line of a refused training."""
    assert run(["train", *TINY, "id=a", *words]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    [line] = [line for line in err.splitlines() if line.startswith("seqkit: ")]
    assert err.endswith(f"{line}\n")
    return line.removeprefix("seqkit: ")


def model(**methods):
    seqkit.register_model("odd")(type("Odd", (Mean,), methods))
    return ["model=odd"]


def head(**methods):
    seqkit.register_head("odd")(type("Odd", (Plain,), {"__doc__": Forecast.__doc__, **methods}))
    return ["head=odd"]


def own(kind: str, name: str, **methods):
    """Register a subclass of a built-in component as "mine"."""
    factory = registry.find(kind, name).factory
    return registry.register(kind, "mine")(type("Mine", (factory,), {"__doc__": factory.__doc__, **methods}))


def leaky(self, x_BG, recur, state):
    return (0.5 * state[0] + 0.5 * torch.tanh(x_BG + recur(state[0])),)


def cell(step=leaky):
    seqkit.register_cell("mine")(type("Mine", (nn.Module,), {"gates": ("new",), "states": ("hidden",), "step": step}))
    return "model=mine"


def test_a_correct_plugin_of_each_kind_is_not_refused():
    own("data", "adding")
    own("frontend", "frames")
    own("head", "forecast")
    own("scheduler", "plateau")
    registry.register_optimizer("mine")(type("Mine", (torch.optim.SGD,), {"__init__": sgd}))
    kinds = ("frontend", "head", "optimizer", "scheduler")
    report = seqkit.train(["data=mine", *TINY[1:], cell(), *(f"{kind}=mine" for kind in kinds), "id=a"])
    assert report["missing"] == []


def sgd(self, parameters: list, *, lr: float = 0.1) -> None:
    torch.optim.SGD.__init__(self, parameters, lr=lr)


def fails(*_, **__):
    raise KeyError("values")


WHERE = r" \(.*test_dry_run\.py:\d+\): KeyError: 'values'"
EXCEPTIONS = {
    "a model's call": (lambda: model(steps=fails), f"fails{WHERE}"),
    "a loss": (lambda: head(loss=fails), f"fails{WHERE}"),
    "a prediction": (lambda: head(predict=fails), f"fails{WHERE}"),
    "a metric": (lambda: head(metrics=fails), f"fails{WHERE}"),
}


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_is_one_line_with_the_authors_file_and_line(name, capsys):
    make, expected = EXCEPTIONS[name]
    line = refusal(capsys, *make())
    assert re.search(f"{expected}{LOGGED}$", line), line
    log = Path("runs/tiny/a/train.log").read_text()
    assert "Traceback" in log
    assert "in fails" in log


def test_it_names_component_and_method(capsys):
    @seqkit.register_head("odd")
    class Odd(Plain):
        def predict(self, outputs, lengths, batch):
            return outputs["values"]

    line = refusal(capsys, "head=odd")
    assert re.match(r"head=odd: predict fails \(.*test_dry_run\.py:\d+\): TypeError: ", line), line

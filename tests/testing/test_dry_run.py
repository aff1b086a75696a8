"""Plugins that are wrong somewhere are refused before the first step, in one line that says where."""

import os
import random
import re
import secrets
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import seqkit
from seqkit import DataSpec, registry
from seqkit.__main__ import run
from seqkit.config import config_hash
from seqkit.data.synthetic import Adding
from seqkit.errors import PluginError, SeqkitError
from seqkit.hydra_cli import compose
from seqkit.padding import valid
from seqkit.runs.checkpoint import Checkpoint
from seqkit.tasks.forecast.head import Forecast
from seqkit.tasks.forecast.metrics import ForecastMetrics
from seqkit.testing.dry_run.run import dry_run
from seqkit.testing.training import tiny_config
from tests.conftest import TINY


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
    """Return the one line of a training that is refused at the command line."""
    assert run(["train", *TINY, "id=a", *words]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    [line] = [line for line in err.splitlines() if line.startswith("seqkit: ")]
    assert err.endswith(f"{line}\n")
    return line.removeprefix("seqkit: ")


def dry(chosen: dict, last: Checkpoint | None = None) -> None:
    """Do the dry run of a tiny training with some components."""
    config = tiny_config({kind: {"name": name} for kind, name in chosen.items()})
    data = registry.build("data", config["data"])
    data.setup()
    dry_run(config, data, torch.device("cpu"), {"config": config}, last)


def model(**methods):
    seqkit.register_model("odd")(type("Odd", (Mean,), methods))
    return {"model": "odd"}


def head(**methods):
    seqkit.register_head("odd")(type("Odd", (Plain,), {"__doc__": Forecast.__doc__, **methods}))
    return {"head": "odd"}


def own(kind: str, name: str, **methods):
    """Register a subclass of a built-in component as "mine"."""
    factory = registry.find(kind, name).factory
    return registry.register(kind, "mine")(type("Mine", (factory,), {"__doc__": factory.__doc__, **methods}))


def leaky(self, x_BG, recur, state):
    return (0.5 * state[0] + 0.5 * torch.tanh(x_BG + recur(state[0])),)


def cell(step=leaky):
    seqkit.register_cell("mine")(type("Mine", (nn.Module,), {"gates": ("new",), "states": ("hidden",), "step": step}))


def test_a_correct_plugin_of_each_kind_is_not_refused():
    own("frontend", "frames")
    own("head", "forecast")
    own("scheduler", "plateau")
    registry.register_optimizer("mine")(type("Mine", (torch.optim.SGD,), {"__init__": sgd}))
    cell()
    dry({**data(), **dict.fromkeys(("frontend", "model", "head", "optimizer", "scheduler"), "mine")})


def sgd(self, parameters: list, *, lr: float = 0.1) -> None:
    torch.optim.SGD.__init__(self, parameters, lr=lr)


def fails(*_, **__):
    raise KeyError("values")


EXCEPTIONS = {
    "a model's call": lambda: model(steps=fails),
    "a loss": lambda: head(loss=fails),
    "a prediction": lambda: head(predict=fails),
    "a metric": lambda: head(metrics=fails),
    "an optimizer": lambda: optimizer(step=fails),
    "a scheduler": lambda: scheduler(lambda total_steps, mode: fails),
    "collate": lambda: data(collate=fails),
    "a sample": lambda: data(part=lambda self, split: FailingSamples()),
}


class FailingSamples:
    __getitem__ = fails

    def __len__(self) -> int:
        return 12


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_names_the_authors_file_and_line(name):
    with pytest.raises(PluginError, match=r"fails \(.*test_dry_run\.py:\d+\): KeyError: 'values'") as refused:
        dry(EXCEPTIONS[name]())
    assert isinstance(refused.value.__cause__, KeyError)


def test_it_names_component_and_method_and_the_traceback_is_in_the_log(capsys):
    @seqkit.register_head("odd")
    class Odd(Plain):
        def predict(self, outputs, lengths, batch):
            return outputs["values"]

    line = refusal(capsys, "head=odd")
    assert re.match(r"head=odd: predict fails \(.*test_dry_run\.py:\d+\): IndexError: ", line), line
    assert line.endswith("; its traceback is in runs/tiny/a/train.log")
    log = Path("runs/tiny/a/train.log").read_text()
    assert "Traceback" in log
    assert 'return outputs["values"]' in log


def noisy(self, x_BTI):
    return self.layer(x_BTI) + secrets.randbelow(1000) / 1000 * self.training


def drawn(self, x_BTI):
    return self.layer(x_BTI) + random.random()


def mixed(self, x_BTI):
    return self.layer(x_BTI) - self.layer(x_BTI).mean(0)


def cut(self, x_BTI):
    return self.layer(x_BTI).detach()


def remembering(self, x_BTI):
    self.memory = self.layer(x_BTI) + getattr(self, "memory", 0)
    return self.memory


def infinite(self, x_BTI):
    return self.layer(x_BTI) / 0


class MeanOfMeans(ForecastMetrics):
    def update(self, prediction, batch):
        super().update(prediction, batch)
        self.means = [*getattr(self, "means", []), (prediction.values_BFC - batch.targets).abs().mean()]

    def compute(self):
        return {"means": torch.stack(self.means).mean()}


class PathScheduler:
    """A constant rate that remembers where its plan lies."""

    def __init__(self, total_steps: int, mode: str) -> None:
        self.plan = Path("plan.csv")

    def __call__(self, step: int) -> float:
        return 1.0


def counting(total_steps: int, mode: str):
    """A rate that falls with every call."""
    calls = []

    def factor(step):
        calls.append(step)
        return 0.9 ** len(calls)

    return factor


def without_closure(self, closure=None):
    return torch.optim.SGD.step(self)


def scheduler(factory):
    seqkit.register_scheduler("odd")(factory)
    return {"scheduler": "odd"}


def optimizer(**methods):
    seqkit.register_optimizer("odd")(type("Odd", (torch.optim.SGD,), {"__init__": sgd, **methods}))
    return {"optimizer": "odd"}


def data(**methods):
    seqkit.register_data("mine")(type("Mine", (Tiny,), methods))
    return {"data": "mine"}


class Tiny(Adding):
    def __init__(self) -> None:
        super().__init__(length=6, train_size=12, valid_size=8, test_size=8, batch_size=4)


def shuffled(self, split, batch_size, seed, epoch):
    return [random.sample(range(8), 8)]


PROPERTIES = {
    "secrets in training": (lambda: model(steps=noisy), "model=odd: the same training step from the same random state"),
    "random evaluation": (lambda: model(steps=drawn), "model=odd: m.. of the same samples is .*: evaluation must draw"),
    "rows mixed": (lambda: model(steps=mixed), "model=odd: m.. of 4 samples is .* in one batch and .* in 2: rows must"),
    "no gradient": (lambda: model(steps=cut), r"model=odd: no gradient reaches layer\.weight, layer\.bias, so"),
    "a graph that is kept": (lambda: model(steps=remembering), r"model=odd: model\.memory holds a tensor of the training"),
    "NaN": (lambda: model(steps=infinite), "model=odd: it makes NaN or infinity of finite numbers"),
    "a mean of means": (lambda: head(metrics=lambda self: MeanOfMeans(self.series)), "head=odd: means of 4 samples"),
    "the monitor": (lambda: head(monitor=("mse", "lower")), r"Odd\.monitor is \('mse', 'lower'\): expected"),
    "a mean for a loss": (lambda: head(loss=lambda self, outputs, *_: outputs.mean()), "head=odd: loss returned Tensor"),
    "a path in a state": (lambda: scheduler(PathScheduler), "scheduler=odd: .*plan.*PosixPath"),
    "a closure that counts": (lambda: scheduler(counting), "scheduler=odd: "),
    "no closure": (lambda: optimizer(step=lambda self: None), r"optimizer=odd: step\(closure=\.\.\.\) fails: TypeError"),
    "a closure not called": (lambda: optimizer(step=without_closure), "optimizer=odd: step does not call its closure"),
    "no fingerprint": (lambda: data(fingerprint=property(lambda self: None, lambda self, value: None)), "data=mine: can be set up: Mine.fingerprint is None"),
    "a random order": (lambda: data(order=shuffled), "data=mine: "),
    "no batch": (lambda: data(collate=lambda self, samples: samples), "data=mine: collate returned list"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROPERTIES)
def test_what_a_training_must_not_do_is_refused(name):
    make, expected = PROPERTIES[name]
    with pytest.raises(SeqkitError) as refused:
        dry(make())
    assert re.match(expected, line := str(refused.value)), line
    assert "\n" not in line


def test_the_traceback_of_an_exception_in_the_middle_of_a_check_is_in_the_log(capsys):
    def loss(self, outputs, lengths, batch):
        if len(outputs) == 1:
            raise KeyError("one row")
        return Forecast.loss(self, outputs, lengths, batch)

    head(loss=loss)
    assert re.search(r"KeyError: 'one row' \(.*test_dry_run\.py:\d+\); .*train\.log$", refusal(capsys, "head=odd"))
    assert 'raise KeyError("one row")' in Path("runs/tiny/a/train.log").read_text()


def test_a_plugin_that_exits_is_told_as_any_other_fault(capsys):
    def leaves(self, x_BTI):
        raise SystemExit(5)

    model(steps=leaves)
    assert re.match(
        r"model=odd: .*fails \(.*test_dry_run\.py:\d+\): SystemExit: 5; ", line := refusal(capsys, "model=odd")
    ), line


def test_the_state_of_the_process_is_left_alone(capsys):
    @seqkit.register_head("odd")
    class Odd(Plain):
        def __init__(self, output_size: int, spec: DataSpec, causal: bool) -> None:
            super().__init__(output_size, spec, causal)
            torch.set_default_dtype(torch.float64)

        def predict(self, outputs, lengths, batch):
            os.chdir("/")
            return super().predict(outputs, lengths, batch)

    here = Path.cwd()
    line = refusal(capsys, "head=odd")
    assert line.startswith("head=odd changes torch's default dtype from torch.float32 to torch.float64, for all else")
    Odd.__init__ = Plain.__init__
    assert refusal(capsys, "head=odd").startswith(f"head=odd changes the current folder from {here} to /, for all else")
    assert (Path.cwd(), torch.get_default_dtype()) == (here, torch.float32)


def test_a_refused_run_leaves_no_folder_unless_its_log_has_a_traceback(capsys):
    model(steps=cut)
    assert refusal(capsys, "model=odd").endswith("; trainer.dry_run=false trains without this check")
    assert not Path("runs/tiny").exists()


def test_it_can_be_skipped_and_the_run_stays_the_same(capsys):
    model(steps=drawn)
    words = [*TINY, "model=odd", "id=a"]
    assert run(["train", *words]) == 1
    assert run(["train", *words, "trainer.dry_run=false"]) == 0
    assert config_hash(compose(words)) == config_hash(compose([*words, "trainer.dry_run=false"]))
    saved = Checkpoint.read(Path("runs/tiny/a/checkpoints/last.ckpt"))
    assert saved.metadata["hash"] == config_hash(compose(words))


def test_a_checkpoint_that_no_longer_fits_is_one_line(halfway):
    cell()
    with pytest.raises(PluginError) as refused:
        dry({"model": "mine"}, Checkpoint.read(halfway / "checkpoints" / "last.ckpt"))
    assert str(refused.value).startswith(
        "model=mine: load_state_dict fails: RuntimeError: Error(s) in loading state_dict"
    )
    assert len(str(refused.value)) < 400


def test_it_changes_no_generator_and_no_file():
    cell()
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    dry({"model": "mine"})
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert list(Path().iterdir()) == []

"""Exceptions of plugins in one line, wherever they show; seqkit's own keep their traceback."""

import re
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn

import seqkit
from seqkit import faults, registry
from seqkit.__main__ import run
from seqkit.errors import ConfigError
from seqkit.faults import author_line, fault, said
from seqkit.registry import build
from seqkit.tasks.forecast.head import Forecast
from tests.conftest import TINY


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})


def caught(action) -> Exception:
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError


def test_it_names_the_outermost_component_its_method_and_the_innermost_line_of_its_author():
    @seqkit.register_scheduler("steep")
    class Steep:
        def __init__(self, total_steps: int, mode: str) -> None:
            self.table = {}

        def __call__(self, step):
            return look_up(self.table, step)

    def look_up(table, step):
        return table[step]

    error = caught(lambda: torch.optim.lr_scheduler.LambdaLR(sgd(), build("scheduler", "steep", 3, "min")))
    here = Path(__file__)
    line = here.read_text().splitlines().index("        return table[step]") + 1
    assert author_line(error) == f"{here}:{line}"
    assert str(fault(error)) == f"scheduler=steep: __call__ fails ({here}:{line}): KeyError: 0"
    assert said(error) == f"KeyError: 0 ({here}:{line})"


def test_a_plugin_beside_an_installed_seqkit_is_not_taken_for_seqkit(tmp_path, monkeypatch):
    monkeypatch.setattr(faults, "OURS", tmp_path / "seqkit")
    place = tmp_path / "seqkit_mgu.py"
    place.write_text("def step():\n    raise KeyError('state')\n")
    monkeypatch.syspath_prepend(tmp_path)
    error = caught(import_module("seqkit_mgu").step)
    assert author_line(error).endswith("seqkit_mgu.py:2")


def sgd():
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)


def test_an_exception_that_no_plugin_is_in_is_no_fault_of_one():
    error = ValueError("no number")  # without any frame
    assert fault(error) is None
    assert said(error) == "ValueError: no number"


class Keeping(nn.Module):
    """A model that keeps what it computed, from its third call in training on."""

    causal, output_size = True, 4

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(input_size, 4)
        self.calls, self.seen = 0, []

    def forward(self, x_BTI, lengths=None, state=None):
        y_BTH = self.layer(x_BTI)
        if self.training:
            self.calls += 1
            y_BTH = self.odd(y_BTH)
        return y_BTH, ()

    def odd(self, y_BTH):
        if self.calls > 2:
            y_BTH = y_BTH + sum(old.mean() for old in self.seen)
            self.seen = [y_BTH]
        return y_BTH


class Infinite(Keeping):
    """A model that makes NaN from its third call in training on."""

    def odd(self, y_BTH):
        return y_BTH / (self.calls < 3)


class Raising(Keeping):
    """A model that fails at its third call in training."""

    def odd(self, y_BTH):
        return y_BTH if self.calls < 3 else {}["values"]


LATE = {
    "an exception": (Raising, r"model=late: odd fails \(.*test_faults\.py:\d+\): KeyError: 'values'; its traceback is in "),
    "a graph that is kept": (Keeping, r"model\.seen holds a tensor of the training step before, with its graph; detach"),
    "NaN": (Infinite, "the training loss became NaN by step 3: model Infinite makes NaN of finite numbers$"),
}  # fmt: skip


@pytest.mark.parametrize("name", LATE)
def test_a_fault_during_training_is_one_line(name, capsys):
    late, expected = LATE[name]
    seqkit.register_model("late")(late)
    words = [word for word in TINY if not word.startswith("model.")]
    assert run(["train", *words, "model=late", "trainer.dry_run=false", "id=a"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert re.match(f"seqkit: {expected}", last), last


def test_a_fault_in_validation_has_its_traceback_in_the_log(capsys):
    @seqkit.register_head("late")
    class Late(Forecast):
        def predict(self, outputs, lengths, batch):
            return outputs.nothing

    assert run(["train", *TINY, "head=late", "trainer.dry_run=false", "id=a"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    line = err.splitlines()[-1]
    assert re.match(r"seqkit: head=late: predict fails \(.*test_faults\.py:\d+\): AttributeError: ", line), line
    log = Path("runs/tiny/a/train.log").read_text()
    assert "Traceback" in log
    assert "return outputs.nothing" in log


def test_a_fault_of_seqkit_keeps_its_traceback_and_is_in_the_log_too(monkeypatch):
    monkeypatch.setattr("seqkit.training.module.conditions", nn.functional.interpolate)  # of torch: nobody's plugin
    with pytest.raises((TypeError, ValueError, AttributeError, NotImplementedError)) as raised:
        seqkit.train([*TINY, "id=a"])
    assert not isinstance(raised.value, ConfigError)
    assert "Traceback" in Path("runs/tiny/a/train.log").read_text()


def test_a_fault_in_a_command_that_uses_a_run_is_one_line_and_its_traceback_can_be_seen(capsys, monkeypatch):
    @seqkit.register_head("late")
    class Late(Forecast):
        broken = False

        def predict(self, outputs, lengths, batch):
            return super().predict(outputs.values.values if self.broken else outputs, lengths, batch)

    assert run(["train", *TINY, "id=a", "head=late"]) == 0
    Late.broken = True
    capsys.readouterr()
    assert run(["evaluate", "runs/tiny/a"]) == 1
    line = capsys.readouterr().err
    assert re.fullmatch(r"seqkit: head=late: predict fails \(.*test_faults\.py:\d+\): \w+Error: .*\n", line), line
    assert line.endswith("; SEQKIT_TRACEBACK=1 shows the traceback\n")
    monkeypatch.setenv("SEQKIT_TRACEBACK", "1")
    with pytest.raises(AttributeError):
        run(["evaluate", "runs/tiny/a"])

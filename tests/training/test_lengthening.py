"""A run that is trained longer than it was planned for: where it goes on, with which learning rate, over kills too."""

import json
import logging
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import seqkit
from seqkit import registry
from seqkit.__main__ import run
from seqkit.errors import ConfigError
from seqkit.experiment import resume
from seqkit.registry import register_scheduler
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.metrics_csv import read_metrics
from seqkit.training.module import SequenceModule
from tests.conftest import TINY, Killed

LONG = ["trainer.max_steps=10", "model.num_layers=2", "model.dropout=0.3"]
SHORT = [*LONG, "trainer.max_steps=6"]


@pytest.fixture(autouse=True)
def _captured(caplog):
    logging.getLogger("seqkit").addHandler(caplog.handler)
    yield
    logging.getLogger("seqkit").removeHandler(caplog.handler)


def outcome(id: str) -> tuple[dict, str]:
    folder = Path("runs/tiny", id)
    found = {}
    for name in ("best", "last"):
        saved = Checkpoint.read(folder / "checkpoints" / f"{name}.ckpt")
        found |= {f"{name} {key}": value for key, value in saved.weights.items()} | {name: torch.tensor(saved.step)}
        for number, state in saved.content["optimizer_states"][0]["state"].items():
            found |= {f"{name} {number} {key}": value for key, value in state.items()}
    return found, (folder / "metrics.csv").read_text()


def rates(id: str) -> dict[int, float]:
    return {
        step: value for step, name, value in read_metrics(Path("runs/tiny", id, "metrics.csv")) if name == "train/lr"
    }


@contextmanager
def killed_at(patch, step: int):
    """Kill the training at the start of a step, counted from 1, over all starts."""
    original = SequenceModule.training_step

    def dying(self, batch, batch_idx):
        if batch_idx + 1 == step:
            raise Killed
        return original(self, batch, batch_idx)

    with patch.context() as within:
        within.setattr(SequenceModule, "training_step", dying)
        with pytest.raises(Killed):
            yield


@pytest.mark.parametrize("ended", [True, False])
def test_a_longer_training_equals_one_that_was_planned_so(ended, monkeypatch, caplog):
    """Under a schedule that does not depend on the length; from the end and from the middle, killed at its start."""
    words = [*TINY, "scheduler=constant", "scheduler.warmup=3"]
    seqkit.train([*words, *LONG, "id=whole"])
    if ended:
        report = seqkit.train([*words, *SHORT, "id=a"])
    else:
        with killed_at(monkeypatch, 4):
            seqkit.train([*words, *SHORT, "id=a"])
    with killed_at(monkeypatch, 7 if ended else 4):  # nothing of the longer one is saved yet
        seqkit.train([*words, *LONG, "id=a"])
    with killed_at(monkeypatch, 9):  # in the middle of the longer part
        resume(Path("runs/tiny/a"), changes=["trainer.max_steps=10"])
    if ended:
        assert json.loads(Path("runs/tiny/a/report.json").read_text())["config_hash"] == report["config_hash"]
    last = resume(Path("runs/tiny/a"))
    first, second = outcome("whole"), outcome("a")
    assert first[0].keys() == second[0].keys()
    assert all(torch.equal(value, second[0][key]) for key, value in first[0].items())
    assert first[1] == second[1]
    assert last["config"]["trainer"]["max_steps"] == 10
    assert "training to step 10 instead of 6; the constant schedule is the same" in caplog.text
    caplog.clear()
    assert seqkit.train([*words, *LONG, "id=a"]) == {**last, "run": "runs/tiny/a"}  # it is finished
    assert not caplog.messages


def test_a_schedule_ends_at_the_new_end_from_the_first_step_on_and_that_is_said(caplog):
    words = [*TINY, "scheduler=cosine", "optimizer.lr=0.002"]
    seqkit.train([*words, *LONG, "id=whole"])
    seqkit.train([*words, *SHORT, "id=a"])
    seqkit.train([*words, *LONG, "id=a"])
    planned, found = rates("whole"), rates("a")
    assert [found[step] for step in range(7, 11)] == [planned[step] for step in range(7, 11)]
    assert (
        "the cosine schedule now ends at step 10 instead of 6: the learning rate at step 6 is "
        f"{planned[7]:.3g} instead of 0, a warm restart; this is not what a single run of 10 steps gives"
        in caplog.messages
    )


def test_plateau_lowers_the_rate_when_a_single_training_does():
    words = [*TINY, "scheduler=plateau", "scheduler.patience=0", "scheduler.reduce=0.1", "optimizer.lr=0.5"]
    seqkit.train([*words, *LONG, "id=whole"])
    lowered = [step for step in range(2, 11) if rates("whole")[step] < rates("whole")[step - 1]]
    end = next(step - 2 for step in lowered if step % 2 == 0)  # the validation after which the rate is lowered
    assert 0 < end < 10
    seqkit.train([*words, *LONG, f"trainer.max_steps={end}", "id=a"])
    seqkit.train([*words, *LONG, "id=a"])
    assert rates("a") == rates("whole")
    first, second = outcome("whole"), outcome("a")
    assert all(torch.equal(value, second[0][key]) for key, value in first[0].items())


def test_an_attribute_of_a_schedule_that_comes_from_the_length_is_that_of_the_new_one(monkeypatch):
    class Linear:
        """A line to zero that counts the validations."""

        def __init__(self, total_steps: int, mode: str) -> None:
            self.total, self.validations = total_steps, 0

        def __call__(self, step: int) -> float:
            return 1 - step / self.total

        def validated(self, score: float) -> None:
            self.validations += 1

    found = {kind: dict(components) for kind, components in registry._components.items()}
    monkeypatch.setattr(registry, "_components", found)
    register_scheduler("line")(Linear)
    words = [*TINY, "scheduler=line", "optimizer.lr=0.002"]
    seqkit.train([*words, *SHORT, "id=a"])
    seqkit.train([*words, *LONG, "id=a"])
    state = Checkpoint.read(Path("runs/tiny/a/checkpoints/last.ckpt")).content["lr_schedulers"][0]["lr_lambdas"][0]
    assert state == {"total": 10, "validations": 5}
    assert [rates("a")[step] for step in (7, 10)] == pytest.approx([0.002 * 0.4, 0.002 * 0.1])


def test_a_training_that_early_stopping_ended_goes_on_with_more_patience_only():
    words = [*TINY, "trainer.early_stopping_patience=1", "optimizer.lr=0.5", "id=a"]
    report = seqkit.train([*words, *LONG])
    folder = Path(report["run"])
    last = Checkpoint.read(folder / "checkpoints/last.ckpt")
    assert last.step < 10
    with pytest.raises(ConfigError, match=f"ended by early stopping at step {last.step}, not by its length"):
        resume(folder, changes=["trainer.max_steps=20"])
    resume(folder, changes=["trainer.early_stopping_patience=null"])
    assert Checkpoint.read(folder / "checkpoints/last.ckpt").step == 10


def test_what_changed_at_which_step_stands_in_the_run(finished):
    changes = ["trainer.max_steps=8", "trainer.val_check_interval=4", "trainer.keep_checkpoints=3"]
    before = json.loads((finished / "config.json").read_text())
    report = resume(finished, changes=changes)
    after = json.loads((finished / "config.json").read_text())
    [entry] = after["history"]
    assert entry["step"] == 6
    assert entry["changes"] == {"trainer.max_steps": [6, 8], "trainer.val_check_interval": [2, 4]}
    assert after["hash"] != before["hash"]
    assert report["history"] == Checkpoint.read(finished / "checkpoints/last.ckpt").metadata["history"] == [entry]
    assert (
        "trainer.max_steps from 6 to 8, trainer.val_check_interval from 2 to 4 at step 6"
        in (finished / "report.md").read_text()
    )
    assert resume(finished, changes=changes) == report  # nothing is left to do
    assert json.loads((finished / "config.json").read_text()) == after


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("trainer.max_steps=6", "is finished"),
        ("trainer.max_steps=5", "trained to step 6 already, and would end at step 5"),
        ("trainer.val_check_interval=3", "give a larger trainer.max_steps than 6"),
        ("trainer.max_epochs=1", "give a larger trainer.max_epochs than 1"),
        ("trainer.max_steps=many", "valid integer"),
        ("trainer.max_steps", "cannot change where a run goes on"),
        ("trainer.precision=64-true", "What can: trainer.max_steps"),
        ("model.hidden_size=8", "'model.hidden_size=8' cannot change where a run goes on"),
        ("--longer", "no flag --longer"),
    ],
)
def test_what_cannot_change_is_one_line_and_changes_nothing(word, reason, finished, capsys):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    assert (run(["resume", str(finished), word]) == 0) == (reason == "is finished")
    assert reason in capsys.readouterr().err
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before

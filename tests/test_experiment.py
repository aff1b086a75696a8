"""The story of a run where it does not go as planned: finished, half gone, elsewhere, on a full disk."""

import errno
import json
import logging
import os
import re
from pathlib import Path

import pytest
import torch

import seqkit
from seqkit import experiment
from seqkit.__main__ import run
from seqkit.errors import ConfigError, TrainingError
from seqkit.hydra_cli import compose
from seqkit.runs.checkpoint import Checkpoint, read, write
from seqkit.runs.folder import RunFolder
from seqkit.training.loggers import Loggers
from tests.conftest import TINY


@pytest.fixture(autouse=True)
def _captured(caplog):
    """Capture seqkit's log during a training too, when it does not reach the root logger."""
    logging.getLogger("seqkit").addHandler(caplog.handler)
    yield
    logging.getLogger("seqkit").removeHandler(caplog.handler)


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return Checkpoint.read(folder / "checkpoints" / f"{name}.ckpt").weights


def assert_as_if_never_killed(folder: Path, originals: Path) -> None:
    for name in ("best", "last"):
        whole = weights(originals / "finished", name)
        assert all(torch.equal(value, whole[key]) for key, value in weights(folder, name).items())
    assert (folder / "metrics.csv").read_text() == (originals / "finished" / "metrics.csv").read_text()


def test_a_finished_report_is_left_as_it_is_unless_asked(finished, capsys):
    path = finished / "report.json"
    report = json.loads(path.read_text())
    path.write_text(json.dumps({**report, "note": "mine"}))
    before = {place: place.stat().st_mtime_ns for place in finished.rglob("*") if place.name != ".lock"}
    assert run(["resume", str(finished), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["note"] == "mine"
    assert json.loads(printed.out)["run"] == str(finished.resolve())  # it was copied
    assert "is finished; its report is left as it was" in printed.err
    assert "trainer.max_steps=N" in printed.err
    assert {place: place.stat().st_mtime_ns for place in finished.rglob("*") if place.name != ".lock"} == before
    assert run(["resume", str(finished), "--report", "--json"]) == 0
    again = json.loads(path.read_text())
    assert "note" not in again
    assert {key: again[key] for key in ("test", "valid", "best_step")} == {
        key: report[key] for key in ("test", "valid", "best_step")
    }


def test_a_report_that_is_gone_is_made_again(finished):
    report = json.loads((finished / "report.json").read_text())
    (finished / "report.json").unlink()
    assert experiment.resume(finished)["test"] == report["test"]


def test_without_metrics_it_goes_on_and_says_so(halfway, caplog):
    (halfway / "metrics.csv").unlink()
    experiment.resume(halfway)
    assert "metrics.csv is gone; it starts anew at step 4" in caplog.text


def elsewhere(folder: Path) -> None:
    """Rewrite the checkpoint as if it came from another machine."""
    saved = read(folder / "checkpoints" / "last.ckpt")
    saved["seqkit"]["conditions"].update(processor="Z80", threads="7000")
    write(folder / "checkpoints" / "last.ckpt", saved)


def test_conditions_that_differ_are_one_line_before_the_first_step(halfway, caplog):
    elsewhere(halfway)
    experiment.resume(halfway)
    [line] = [record.message for record in caplog.records if "exact" in record.message]
    assert line.startswith("going on may not be exact to the bit: processor Z80, now ")
    assert line.endswith("; threads 7000, now 1")


@pytest.mark.parametrize("command", ["resume", "train"])
def test_exact_refuses_other_conditions(command, halfway, capsys):
    elsewhere(halfway)
    before = (halfway / "checkpoints" / "last.ckpt").read_bytes()
    words = [str(halfway)] if command == "resume" else [*TINY, "id=halfway"]
    assert run([command, *words, "--exact"]) == 1
    assert "seqkit: --exact: the checkpoint was saved under other conditions: processor Z80" in capsys.readouterr().err
    assert (halfway / "checkpoints" / "last.ckpt").read_bytes() == before


def test_exact_goes_on_under_the_same_conditions(halfway, originals, caplog):
    experiment.resume(halfway, exact=True)
    assert "may not be exact" not in caplog.text
    assert_as_if_never_killed(halfway, originals)


def test_the_backends_in_use_are_among_the_conditions(finished):
    saved = read(finished / "checkpoints" / "last.ckpt")["seqkit"]["conditions"]
    assert {"seqkit", "python", "torch", "device", "processor", "threads", "layer 0"} <= saved.keys()


@pytest.mark.parametrize("target", ["last.ckpt", "best.ckpt", "metrics.csv", "report.json"])
@pytest.mark.parametrize("call", [1, 3])
def test_a_full_disk_is_one_line_and_the_last_good_checkpoint_is_whole(target, call, monkeypatch, capsys):
    calls, fsync = [], os.fsync

    def full(number: int) -> None:
        if target in os.readlink(f"/proc/self/fd/{number}"):
            calls.append(1)
            if len(calls) >= call:
                raise OSError(errno.ENOSPC, "No space left on device")
        fsync(number)

    monkeypatch.setattr(os, "fsync", full)
    code = run(["train", *TINY, "id=a"])
    if len(calls) < call:  # it was not written as often
        assert code == 0
        return
    lines = capsys.readouterr().err.splitlines()
    assert code == 1
    assert [line for line in lines if line.startswith("seqkit: ")] == lines[-1:]
    assert "cannot be written (the disk is full); " in lines[-1]
    assert not any("Traceback" in line for line in lines)
    run_ = RunFolder(Path("runs/tiny/a"))
    assert not list(Path("runs").rglob("*.tmp"))
    if target == "last.ckpt" and call == 1:
        return
    if run_.last.exists():
        Checkpoint.read(run_.last)
    monkeypatch.setattr(os, "fsync", fsync)
    assert run(["train", *TINY, "id=a"]) == 0


def test_a_run_that_cannot_be_written_is_one_line(finished, monkeypatch, capsys):
    original = os.open

    def read_only(path, flags, *more, **options):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return original(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", read_only)
    assert run(["resume", str(finished)]) == 1
    assert capsys.readouterr().err == f"seqkit: {finished.resolve()}: cannot be written (read-only file system)\n"


class Broken:
    """A logger that fails at its third line."""

    def __init__(self) -> None:
        self.count, self.abandoned = 0, 0

    def abandon(self) -> None:
        self.abandoned += 1
        raise OSError("no service")

    def log_metrics(self, metrics, step) -> None:
        self.count += 1
        if self.count >= 3:
            raise ConnectionResetError("gone")


def test_a_logger_that_fails_is_one_line_and_dropped(monkeypatch, caplog, originals):
    logger, made = Broken(), Loggers.__init__
    monkeypatch.setattr(Loggers, "__init__", lambda self, writer, _=None: made(self, writer, logger))
    experiment.train(compose([*TINY, "id=finished"]))
    [line] = [record.message for record in caplog.records if "dropped" in record.message]
    assert re.fullmatch(
        r"Broken failed and is dropped \(ConnectionResetError: gone, .*test_experiment\.py:\d+\); metrics\.csv goes on",
        line,
    )
    assert (logger.count, logger.abandoned) == (3, 1)
    assert_as_if_never_killed(Path("runs/tiny/finished"), originals)


def test_infinite_data_are_not_called_a_learning_rate(monkeypatch):
    from seqkit.data.synthetic import Adding

    collate = Adding.collate

    def infinite(self, samples):
        batch = collate(self, samples)
        batch.targets = batch.targets * float("inf")
        return batch

    monkeypatch.setattr(Adding, "collate", infinite)
    with pytest.raises(
        TrainingError, match="loss is (inf|nan) at the first step, before any weight was changed: look at the data"
    ):
        seqkit.train([*TINY, "id=a"])


def test_a_learning_rate_is_called_one():
    with pytest.raises(TrainingError, match="became NaN by step .; lower optimizer.lr"):
        seqkit.train(
            [*TINY, "optimizer.lr=1e20", "trainer.gradient_clip_val=null", "trainer.val_check_interval=6", "id=a"]
        )


@pytest.mark.parametrize("monitor", [("mse", "lower"), ("accuracy", "max")])
def test_a_monitor_must_be_a_score_and_a_direction(monitor, monkeypatch):
    from seqkit.tasks.forecast.head import Forecast

    monkeypatch.setattr(Forecast, "monitor", monitor)
    with pytest.raises(ConfigError) as refusal:
        seqkit.train([*TINY, "id=a"])
    expected = (
        f"Forecast.monitor is {monitor!r}: expected (METRIC, 'min' or 'max'), METRIC one of mae, mse, rmse, smape"
    )
    assert str(refusal.value) == expected
    assert not Path("runs/tiny/a").exists()


def test_prepare_comes_once_before_setup(monkeypatch):
    from seqkit.data.synthetic import Adding

    calls, setup = [], Adding.setup
    monkeypatch.setattr(Adding, "prepare", lambda self: calls.append("prepare"), raising=False)
    monkeypatch.setattr(Adding, "setup", lambda self: (calls.append("setup"), setup(self))[1])
    seqkit.train([*TINY, "trainer.max_steps=2", "id=a"])
    assert calls == ["prepare", "setup"]

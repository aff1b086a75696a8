"""The backends of a run: measured once, the same on every rank, and those of its checkpoint for ever after."""

import json
import logging
import os
from pathlib import Path

import pytest
import torch

from seqkit import experiment
from seqkit.__main__ import run
from seqkit.errors import TrainingError
from seqkit.hydra_cli import compose
from seqkit.models.backends import measure as measuring
from seqkit.models.backends.fused.c_loops import CLoops
from seqkit.registry import build
from seqkit.runs import backends
from seqkit.runs.checkpoint import Checkpoint, read, write
from seqkit.runs.conditions import threads_of
from seqkit.runs.folder import RunFolder
from seqkit.training.module import SequenceModule
from tests.conftest import TINY, Killed
from tests.in_threads import on_ranks

LONG = [*TINY, "trainer.max_steps=50", "trainer.val_check_interval=25"]


@pytest.fixture(autouse=True)
def _captured(caplog):
    """Capture seqkit's log during a training too, when it does not reach the root logger."""
    logging.getLogger("seqkit").addHandler(caplog.handler)
    yield
    logging.getLogger("seqkit").removeHandler(caplog.handler)


@pytest.fixture
def fastest(monkeypatch, tmp_path):
    """Let a candidate win every race, with measuring on; return how many were run."""
    monkeypatch.delenv("SEQKIT_MEASURE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(CLoops, "unavailable_reason", lambda self, device, dtype: "no C compiler was found (cc)")
    raced = []

    def let(winner: str):
        def fake(calls, default, steps, budget, clock):
            raced.append(default)
            return [{label: 0.029 if label == winner else 0.033 for label in calls}] * 3

        monkeypatch.setattr(measuring, "race", fake)
        return raced

    return let


def test_what_was_measured_stands_in_checkpoint_and_report_and_is_gone_on_with(fastest, monkeypatch, tmp_path, caplog):
    raced = fastest("fused in torch")  # not the default, which is native without loops in C
    whole = experiment.train(compose([*LONG, "id=whole"]))
    words = "measured: 29 ms against 33 ms (native), for 6 steps of batch 8"
    assert whole["backends"]["layer 0"].startswith(f"fused: {words}; its loop runs in torch")
    assert whole["backends"]["layer 0, evaluation"].startswith(f"fused: {words}")
    assert f"training: fused in torch, {words}" in caplog.text
    assert len(raced) == 2
    assert run(["describe", whole["run"]]) == 0

    step = SequenceModule.training_step

    def dying(self, batch, batch_idx):
        if batch_idx == 40:
            raise Killed
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SequenceModule, "training_step", dying)
    with pytest.raises(Killed):
        experiment.train(compose([*LONG, "id=killed"]))
    monkeypatch.setattr(SequenceModule, "training_step", step)
    assert len(raced) == 2  # the times were kept
    for file in (tmp_path / "cache" / "seqkit").glob("timings-*.json"):
        file.unlink()
    fastest("native")
    resumed = experiment.resume(tmp_path / "runs" / "tiny" / "killed", exact=True)
    assert len(raced) == 2
    first, second = (Checkpoint.read(RunFolder(Path(report["run"])).last).weights for report in (whole, resumed))
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert resumed["test"] == whole["test"]
    assert resumed["backends"] == whole["backends"]


def test_a_choice_that_cannot_run_any_more_is_one_line_before_the_first_step(halfway, monkeypatch, caplog):
    saved = read(halfway / "checkpoints" / "last.ckpt")
    times = {"native": 0.033, "fused in C": 0.029}
    choice = {"gradients": True, "padded": False, "device": "cpu", "steps": 6, "batch": 8, "label": "fused in C"}
    saved["seqkit"]["backends"] = [{**choice, "seconds": times}]
    saved["seqkit"]["conditions"]["layer 0"] = "fused, its loop compiled from C"
    write(halfway / "checkpoints" / "last.ckpt", saved)
    monkeypatch.setattr(CLoops, "unavailable_reason", lambda self, device, dtype: "SEQKIT_COMPILED=0")
    with pytest.raises(TrainingError, match="--exact: .* layer 0.* fused, its loop compiled from C, now native"):
        experiment.resume(halfway, exact=True)
    experiment.resume(halfway)
    [line] = [record.message for record in caplog.records if "to the bit" in record.message]
    assert line.startswith("going on is not exact to the bit: ")
    assert "layer 0 fused, its loop compiled from C, now native" in line


def test_a_damaged_choice_is_a_damaged_checkpoint(halfway, capsys):
    path = halfway / "checkpoints" / "last.ckpt"
    saved = read(path)
    saved["seqkit"]["backends"] = [{"label": "native"}]
    write(path, saved)
    assert run(["describe", str(path)]) == 1
    assert "seqkit.backends is not a list of choices between backends" in capsys.readouterr().err


def prepared(*overrides):
    config = compose([*LONG, *overrides])
    data = build("data", config["data"])
    data.setup()
    return config, data, torch.device("cpu")


@pytest.mark.parametrize(("steps", "variable"), [(49, None), (50, "0")])
def test_a_short_run_is_not_measured_nor_one_whose_user_says_so(steps, variable, fastest, monkeypatch):
    fastest("native")
    monkeypatch.setattr(backends, "assemble", lambda *_: pytest.fail("it was built"))
    if variable:
        monkeypatch.setenv("SEQKIT_MEASURE", variable)
    assert backends.backends_of_run(*prepared(), steps, None) == []


def test_rank_0_measures_for_all(fastest, monkeypatch):
    raced = fastest("fused in torch")
    arguments = prepared()
    first, second = on_ranks(
        2, lambda rank: backends.backends_of_run(*arguments, 50, None), monkeypatch, ["seqkit.runs.backends"]
    )
    assert len(raced) == 2
    assert first == second
    assert [choice["label"] for choice in first] == ["fused in torch"] * 2
    assert {choice["batch"] for choice in first} == {4}  # a rank's rows of 8
    json.dumps(first)


def test_a_measurement_that_fails_is_a_warning_and_the_defaults(fastest, monkeypatch, caplog):
    fastest("native")

    def failing(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(measuring, "_calls", failing)
    before = torch.get_rng_state()
    assert backends.backends_of_run(*prepared(), 50, None) == []
    assert "the backends cannot be measured, so the defaults are taken: RuntimeError: out of memory" in caplog.text
    assert torch.equal(torch.get_rng_state(), before)


class Saved:
    """A checkpoint that was saved with some number of threads."""

    def __init__(self, threads):
        self.metadata = {"conditions": {"threads": str(threads)}}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_a_run_goes_on_with_as_many_threads_as_it_had(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for last, threads in ((Saved(2), 2), (Saved(10**6), 1), (None, 1)):
        with threads_of(last):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with threads_of(Saved(2)):
        assert torch.get_num_threads() == 1

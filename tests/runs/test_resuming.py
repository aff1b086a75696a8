import logging
import os
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from seqkit.errors import ConfigError, TrainingError
from seqkit.experiment import resume, train
from seqkit.hydra_cli import compose
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder
from seqkit.runs.resuming import checkpoint_to_continue, missing_best_reason
from tests.conftest import TINY, Killed


def damage(path) -> bytes:
    """Flip a bit of a checkpoint, and return what its file holds then."""
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    return bytes(raw)


def assert_equal(first: RunFolder, second: RunFolder) -> None:
    """Require that two runs ended with the same bits."""
    for name in ("best", "last"):
        one, other = (Checkpoint.read(run.checkpoints / f"{name}.ckpt") for run in (first, second))
        assert one.step == other.step
        assert all(torch.equal(value, other.weights[key]) for key, value in one.weights.items())
        states = [saved.content["optimizer_states"][0]["state"] for saved in (one, other)]
        for number, state in states[0].items():
            assert all(torch.equal(value, states[1][number][key]) for key, value in state.items())
    assert first.metrics_csv.read_text() == second.metrics_csv.read_text()


def test_it_goes_on_from_the_last_checkpoint(halfway):
    assert checkpoint_to_continue(RunFolder(halfway)).step == 4


def test_the_one_before_stands_in_for_the_last_and_the_best_for_both(halfway, caplog):
    run = RunFolder(halfway)
    run.last.unlink()
    with caplog.at_level(logging.WARNING, "seqkit"):
        assert checkpoint_to_continue(run).step == 3
        assert f"{run.last} is gone; going on from last-1.ckpt, step 3" in caplog.text
        run.before_last[0].unlink()
        assert checkpoint_to_continue(run).step == 4
    assert f"{run.last} is gone; going on from best.ckpt, step 4" in caplog.text


@pytest.mark.parametrize("number", [1, 2])
def test_a_damaged_newest_is_set_aside_and_the_run_ends_as_if_nothing_had_been(number, halfway, originals, caplog):
    run = RunFolder(halfway)
    newest = [run.last, *run.before_last][:number]
    raw = [damage(path) for path in newest]
    logging.getLogger("seqkit").addHandler(caplog.handler)
    resume(halfway)
    logging.getLogger("seqkit").removeHandler(caplog.handler)
    for path, content in zip(newest, raw, strict=True):
        assert path.with_name(f"{path.name}.damaged-1").read_bytes() == content
        assert f"{path.name} is not a checkpoint of seqkit, or is damaged: its " in caplog.text
        assert f"set aside as {path.name}.damaged-1" in caplog.text
    assert f"going on from {['last-1.ckpt, step 3', 'best.ckpt, step 4'][number - 1]}" in caplog.text
    assert_equal(run, RunFolder(originals / "finished"))


def test_where_all_are_damaged_nothing_is_renamed(halfway):
    run = RunFolder(halfway)
    for path in (run.last, *run.before_last, run.best):
        damage(path)
    before = {path: path.read_bytes() for path in run.checkpoints.iterdir()}
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"last\.ckpt is not a checkpoint of seqkit, or is damaged"):
            checkpoint_to_continue(run)
    assert {path: path.read_bytes() for path in run.checkpoints.iterdir()} == before


def test_a_damaged_checkpoint_never_takes_the_name_of_another(halfway):
    run = RunFolder(halfway)
    before = run.last.with_name("last.ckpt.damaged-1")
    before.write_text("of an earlier time")
    damage(run.last)
    assert checkpoint_to_continue(run).step == 3
    assert before.read_text() == "of an earlier time"
    assert run.last.with_name("last.ckpt.damaged-2").exists()


def test_killed_between_any_two_renames_the_run_ends_as_if_nothing_had_been(originals, monkeypatch):
    rename, left = os.replace, [0]

    def dying(source, target, **options):
        left[0] -= "checkpoints" in str(target)
        if left[0] < 0:
            raise Killed
        rename(source, target, **options)

    monkeypatch.setattr(os, "replace", dying)
    starts, run = 0, RunFolder(Path("runs/tiny/a"))
    while not run.report_json.exists():
        left[0], starts = 1 + starts % 5, starts + 1  # so that each of the renames is the first one not done
        with suppress(Killed):
            train(compose([*TINY, "id=a", "trainer.keep_checkpoints=3"]))
    assert starts > 4
    assert_equal(run, RunFolder(originals / "finished"))
    assert [Checkpoint.read(path).step for path in (run.last, *run.before_last)][:2] == [6, 5]


def test_without_its_best_checkpoint_a_run_does_not_go_on(halfway):
    run = RunFolder(halfway)
    run.best.unlink()
    with pytest.raises(TrainingError, match=r"has lost best\.ckpt, which its training wrote and cannot write again"):
        checkpoint_to_continue(run)


def test_where_nothing_was_saved_there_is_none(halfway):
    run = RunFolder(halfway)
    for path in run.checkpoints.iterdir():
        path.unlink()
    assert checkpoint_to_continue(run) is None
    assert "has no checkpoint yet: its first validation was not reached" in missing_best_reason(run)


def test_a_finished_run_without_checkpoints_says_so(finished):
    run = RunFolder(finished)
    for path in run.checkpoints.iterdir():
        path.unlink()
    with pytest.raises(TrainingError, match="is finished, but its checkpoints are gone; its report is still there"):
        checkpoint_to_continue(run)

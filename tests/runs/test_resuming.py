import logging

import pytest

from seqkit.errors import TrainingError
from seqkit.runs.folder import RunFolder
from seqkit.runs.resuming import checkpoint_to_continue, missing_best_reason


def test_it_goes_on_from_the_last_checkpoint(halfway):
    assert checkpoint_to_continue(RunFolder(halfway)).step == 4


def test_the_best_checkpoint_stands_in_for_the_last(halfway, caplog):
    run = RunFolder(halfway)
    run.last.unlink()
    with caplog.at_level(logging.WARNING, "seqkit"):
        found = checkpoint_to_continue(run)
    assert found.step in (2, 4)
    assert f"{run.last} is gone; going on from {run.best.name}, step {found.step}" in caplog.text


def test_without_its_best_checkpoint_a_run_does_not_go_on(halfway):
    run = RunFolder(halfway)
    run.best.unlink()
    with pytest.raises(TrainingError, match=r"has lost best\.ckpt, which its training wrote and cannot write again"):
        checkpoint_to_continue(run)


def test_where_nothing_was_saved_there_is_none(halfway):
    run = RunFolder(halfway)
    run.best.unlink()
    run.last.unlink()
    assert checkpoint_to_continue(run) is None
    assert "has no checkpoint yet: its first validation was not reached" in missing_best_reason(run)


def test_a_finished_run_without_checkpoints_says_so(finished):
    run = RunFolder(finished)
    run.best.unlink()
    run.last.unlink(missing_ok=True)
    with pytest.raises(TrainingError, match="is finished, but its checkpoints are gone; its report is still there"):
        checkpoint_to_continue(run)

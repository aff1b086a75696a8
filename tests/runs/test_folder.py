import os
import re
import shutil
from pathlib import Path

import pytest

from seqkit.errors import ConfigError, TrainingError
from seqkit.runs.folder import RunFolder, config_difference, new_id


def test_every_file_of_a_run_has_one_name(finished):
    run = RunFolder(finished)
    named = {
        run.config_json,
        run.metrics_csv,
        run.train_log,
        run.report_json,
        run.report_md,
        run.best,
        run.last,
        *run.before_last,
    }
    assert named == {path for path in finished.rglob("*") if path.is_file() and path.suffix != ".png"}


def test_a_lock_is_held_once_and_clears_what_a_kill_left(finished):
    run = RunFolder(finished)
    for left in (finished / ".a.png.1.tmp", run.checkpoints / ".last.ckpt.77.tmp"):
        left.write_text("half")
    with run.lock():
        assert not list(finished.rglob("*.tmp"))
        with pytest.raises(TrainingError, match="is being trained by another process"), run.lock():
            pass
    with run.lock():
        pass


@pytest.mark.parametrize("name", ["train.log", ".lock"])
def test_nothing_is_written_through_a_link_that_a_run_brings(name, finished):
    precious = Path("precious").absolute()
    precious.write_text("years of work")
    (finished / name).unlink(missing_ok=True)
    (finished / name).symlink_to(precious)
    run = RunFolder(finished)
    with pytest.raises(ConfigError, match=f"{name} is a link; put a file in its place, or delete it"), run.lock():
        raise AssertionError("locked")
    assert precious.read_text() == "years of work"


def test_the_id_of_a_job_is_that_of_its_scheduler(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert new_id() == "slurm-7"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert new_id() == "slurm-5-2"


def test_the_id_without_a_scheduler_is_of_time_and_chance():
    first, second = new_id(), new_id()
    assert re.fullmatch(r"20\d{6}-\d{6}-[0-9a-f]{6}", first)
    assert first != second


def test_a_folder_without_a_newest_checkpoint_still_names_those_before_it(finished):
    run = RunFolder(finished)
    for name in ("last-10.ckpt", "last-2.ckpt", "last-x.ckpt", "last.ckpt.damaged-1"):
        (run.checkpoints / name).touch()
    assert [place.name for place in run.before_last] == ["last-1.ckpt", "last-2.ckpt", "last-10.ckpt"]


def test_where_a_run_lies_is_no_difference():
    assert config_difference({"id": "a", "m": {"x": 1}}, {"id": "b", "m": {"x": 2}}) == "m.x was 1, now 2"


def test_a_folder_that_is_no_run_names_the_one_that_is_meant(finished):
    shutil.copytree(finished, "runs/tiny/newer")
    os.utime("runs/tiny/newer/config.json", (2**31, 2**31))
    os.utime(Path("runs/tiny/finished/config.json"), (2**30, 2**30))
    for typed, meant in (
        ("tiny/finished", "finished"), ("runs/tiny", "newer"), ("tiny", "newer"), (Path("runs").absolute(), "newer")
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=f"is not a run: .* Did you mean 'runs/tiny/{meant}'"):
            RunFolder(Path(typed)).read_config()

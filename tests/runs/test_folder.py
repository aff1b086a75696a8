from pathlib import Path

import pytest

from seqkit.errors import ConfigError, DataError, SeqkitError, TrainingError
from seqkit.hydra_cli import compose
from seqkit.runs.folder import RunFolder, config_difference, new_id
from seqkit.runs.opening import open_run
from tests.conftest import TINY


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
        run.lock_file,
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


def test_a_fresh_start_takes_away_the_link_to_checkpoints_and_not_what_is_there(finished):
    elsewhere = Path("elsewhere").absolute()
    (finished / "checkpoints").rename(elsewhere)
    (finished / "checkpoints").symlink_to(elsewhere)
    with open_run(compose([*TINY, f"id={finished.name}", "seed=2"]), fresh=True) as (_, run):
        assert not run.started
    assert (elsewhere / "last.ckpt").exists()


def test_a_new_folder_goes_again_when_its_run_is_refused():
    opened = open_run(compose([*TINY, "id=a"]), False)
    config, run = opened.__enter__()
    assert (config["id"], run.config_json.exists()) == ("a", True)
    assert not opened.__exit__(SeqkitError, SeqkitError("no"), None)
    assert list(Path("runs").iterdir()) == []


@pytest.mark.parametrize("fresh", [True, False])
def test_a_folder_that_is_no_run_is_neither_cleared_nor_deleted(fresh):
    Path("runs/tiny/mine").mkdir(parents=True)
    Path("runs/tiny/mine/thesis.tex").write_text("years of work")
    refusal = pytest.raises(ConfigError, match="is there already and is no run")
    with refusal, open_run(compose([*TINY, "id=mine"]), fresh):
        raise DataError("refused later")
    assert [entry.name for entry in Path("runs/tiny/mine").iterdir()] == ["thesis.tex"]


def test_runs_without_an_id_get_different_folders():
    ids = set()
    for _ in range(3):
        with open_run(compose(TINY), False) as (config, _run):
            ids.add(config["id"])
    assert len(ids) == 3


def test_the_id_of_a_job_is_that_of_its_scheduler(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert new_id() == "slurm-7"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert new_id() == "slurm-5-2"


def test_where_a_run_lies_is_no_difference():
    assert config_difference({"id": "a", "m": {"x": 1}}, {"id": "b", "m": {"x": 2}}) == "m.x was 1, now 2"

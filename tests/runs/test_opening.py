"""Opening a run: new, continued, continued longer, started over."""

import json
from pathlib import Path

import pytest

from seqkit.errors import ConfigError, DataError, SeqkitError
from seqkit.hydra_cli import compose
from seqkit.runs.opening import open_run
from tests.conftest import TINY


def opened(*words: str, fresh: bool = False) -> tuple[dict, Path]:
    with open_run(compose([*TINY, *words]), fresh) as (config, run):
        return config, run.path


def files(folder: Path) -> dict[str, bytes]:
    return {str(place.relative_to(folder)): place.read_bytes() for place in folder.rglob("*") if place.is_file()}


def test_a_new_folder_goes_again_when_its_run_is_refused():
    opening = open_run(compose([*TINY, "id=a"]), False)
    config, run = opening.__enter__()
    assert (config["id"], run.config_json.exists()) == ("a", True)
    assert not opening.__exit__(SeqkitError, SeqkitError("no"), None)
    assert list(Path("runs").iterdir()) == []


@pytest.mark.parametrize("fresh", [True, False])
def test_a_folder_that_is_no_run_is_neither_renamed_nor_deleted(fresh):
    Path("runs/tiny/mine").mkdir(parents=True)
    Path("runs/tiny/mine/thesis.tex").write_text("years of work")
    refusal = pytest.raises(ConfigError, match="is there already and is no run")
    with refusal, open_run(compose([*TINY, "id=mine"]), fresh):
        raise DataError("refused later")
    assert [entry.name for entry in Path("runs/tiny/mine").iterdir()] == ["thesis.tex"]


def test_runs_without_an_id_get_different_folders(monkeypatch):
    monkeypatch.setattr("seqkit.runs.opening.new_id", iter(["a", "a", "a", "b"]).__next__)
    assert [opened()[1].name, opened()[1].name] == ["a", "b"]


def test_a_fresh_start_keeps_the_run_that_was_there(halfway, capsys):
    before = files(halfway)
    config, path = opened("id=halfway", "seed=2", fresh=True)
    assert capsys.readouterr().err == "the run that was there is kept as runs/tiny/halfway.old-1\n"
    assert files(Path("runs/tiny/halfway.old-1")) == before
    assert (path, config["seed"], sorted(files(path))) == (Path("runs/tiny/halfway"), 2, ["config.json"])
    opened("id=halfway", "seed=3", fresh=True)
    assert files(Path("runs/tiny/halfway.old-1")) == before
    assert json.loads(Path("runs/tiny/halfway.old-2/config.json").read_text())["config"]["seed"] == 2


def test_a_requeued_job_goes_on_with_the_run_that_it_started_afresh(halfway, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")  # requeued before it came to open anything
    _, path = opened("id=halfway", "seed=2", fresh=True)
    (path / "checkpoints").mkdir()
    capsys.readouterr()
    opened("id=halfway", "seed=2", fresh=True)
    line = "--fresh was done when this job first started; run runs/tiny/halfway goes on\n"
    assert capsys.readouterr().err == line
    assert (path / "checkpoints").exists()
    monkeypatch.delenv("SLURM_RESTART_COUNT")  # once more in the script of one job
    opened("id=halfway", "seed=2", fresh=True)
    assert not (path / "checkpoints").exists()


def test_a_fresh_start_of_nothing_is_a_start():
    assert opened("id=a", fresh=True)[1] == Path("runs/tiny/a")
    assert [entry.name for entry in Path("runs/tiny").iterdir()] == ["a"]


def test_a_fresh_start_takes_away_the_link_to_checkpoints_and_not_what_is_there(finished):
    elsewhere = Path("elsewhere").absolute()
    (finished / "checkpoints").rename(elsewhere)
    (finished / "checkpoints").symlink_to(elsewhere)
    with open_run(compose([*TINY, f"id={finished.name}", "seed=2"]), fresh=True) as (_, run):
        assert not run.started
    assert (elsewhere / "last.ckpt").exists()


def test_a_run_that_was_put_aside_is_not_trained(halfway):
    before = files(halfway.rename("runs/tiny/halfway.old-1"))
    with pytest.raises(ConfigError, match=r"id=halfway.old-1: such names are of runs that --fresh has put aside"):
        opened("id=halfway.old-1")
    assert files(Path("runs/tiny/halfway.old-1")) == before


REFUSED = {
    "another seed": (["seed=2"], "exists with another config (seed was 1, now 2)"),
    "shorter": (["trainer.max_steps=3"], "has been trained to step 4 already, and would end at step 3"),
    "no longer": (["trainer.max_steps=4"], "has been trained to step 4 already, and would end at step 4"),
    "fewer epochs": (["trainer.max_epochs=1"], "would end at step 4 (trainer.max_epochs was null, now 1)"),
    "longer and wider": (["trainer.max_steps=9", "model.hidden_size=5"], "(model.hidden_size was 4, now 5)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_not_differ_is_refused_and_nothing_is_written(name, halfway):
    words, fragment = REFUSED[name]
    before = files(halfway)
    with pytest.raises(ConfigError) as refusal:
        opened("id=halfway", *words)
    assert fragment in str(refusal.value)
    assert files(halfway) == before


@pytest.mark.parametrize(
    "words",
    [
        ["trainer.max_steps=9"],
        ["trainer.max_steps=5"],
        ["trainer.max_steps=null", "trainer.max_epochs=2"],
        ["trainer.keep_checkpoints=5"],
    ],
)
def test_a_length_beyond_what_was_trained_and_other_circumstances_are_written_anew(words, halfway):
    before = json.loads((halfway / "config.json").read_text())
    config, _ = opened("id=halfway", *words)
    after = json.loads((halfway / "config.json").read_text())
    assert after["config"] == config != before["config"]
    assert after["components"] == before["components"]
    assert opened("id=halfway", *words)[0] == config

import json
import re
from pathlib import Path

import pytest

from seqkit.__main__ import run
from seqkit.errors import ConfigError, TrainingError
from seqkit.runs.folder import RunFolder
from seqkit.runs.sweep import Ledger
from tests.sweeping.conftest import SMALL, ledger, states

SIZES = [*SMALL, "model.hidden_size=4,5,6", "-m"]
ONE = [*SMALL, "model.hidden_size=4", "-m"]
without_hydra = pytest.mark.usefixtures("_no_hydra")


def failing(number):
    def score(config):
        if config["id"] == f"s-{number}":
            raise TrainingError("the loss became\nNaN")
        return 0.25

    return score


def stopping(number):
    def score(config):
        if config["id"] == f"s-{number}":
            raise KeyboardInterrupt
        return 0.25

    return score


def test_ledger_says_all_of_every_job(trainings, capsys):
    trainings.score = lambda config: config["model"]["hidden_size"] / 8
    assert run(["train", *SIZES]) == 0
    saved = ledger()
    assert saved["words"] == SIZES
    assert [job["overrides"] for job in saved["jobs"]] == [[*SMALL, f"model.hidden_size={size}"] for size in (4, 5, 6)]
    assert [job["run"] for job in saved["jobs"]] == [f"adding/s-{number}" for number in range(3)]
    assert [job["score"] for job in saved["jobs"]] == [0.5, 0.625, 0.75]
    assert states() == ["finished"] * 3
    assert {tuple(job["monitor"]) for job in saved["jobs"]} == {("mse", "min")}
    out, err = capsys.readouterr()
    assert "job 2 finished: model.hidden_size=6: mse 0.75\n" in err
    table = Path("runs/sweeps/s/table.csv").read_text().splitlines()
    assert table[:2] == ["run,valid.mse,model.hidden_size,test.mse,trained", "s-0,0.5,4,0.5,1 s"]
    shown = [re.split(r"\s{2,}", line) for line in out.splitlines()[-6:]]
    assert [",".join(line) for line in shown if not line[0].startswith("-")][: len(table) - 1] == table[:-1]
    assert Path("runs/sweeps/s/table.md").read_text().startswith("| run | valid.mse | model.hidden_size | test.mse |")
    # nothing of Hydra's is left
    assert {path.name for path in Path().iterdir()} - {".seqkit"} == {"runs"}
    assert {path.name for path in Path("runs").iterdir()} == {"adding", "sweeps"}


@without_hydra
def test_a_failed_job_is_named_and_the_others_are_trained(trainings, capsys):
    trainings.score = failing(1)
    assert run(["train", *SIZES]) == 1
    assert trainings.take() == ["s-0", "s-1", "s-2"]
    assert states() == ["finished", "failed", "finished"]
    assert ledger()["jobs"][1]["refusal"] == "the loss became NaN"
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "job 1 failed: model.hidden_size=5: the loss became NaN",
        "seqkit: 1 of 3 jobs did not finish; train these again with: seqkit train -m --resume runs/sweeps/s",
    ]
    trainings.score = lambda config: 0.125
    assert run(["train", "-m", "--resume", "s"]) == 0
    assert trainings.take() == ["s-1"]
    assert [job["score"] for job in ledger()["jobs"]] == [0.25, 0.125, 0.25]
    assert len(Path("runs/sweeps/s/table.csv").read_text().splitlines()) == 5


def test_a_job_that_cannot_be_composed_fails_alone(trainings, capsys):
    assert run(["train", *SMALL, "model.hidden_size=4,0", "-m"]) == 1
    assert trainings.take() == ["s-0"]
    assert (
        "job 1 failed: model.hidden_size=0: model.hidden_size=0: input should be greater than 0\n"
        in capsys.readouterr().err
    )


@without_hydra
def test_a_sweep_of_which_nothing_can_be_composed_is_refused_and_leaves_nothing(trainings, capsys):
    assert run(["train", *SMALL, "model.hidden_size=0,-1", "-m"]) == 1
    assert capsys.readouterr().err == "seqkit: model.hidden_size=0: input should be greater than 0\n"
    assert not Path("runs/sweeps").exists()


@without_hydra
def test_a_fault_that_is_no_refusal_costs_one_job(trainings, capsys):
    def score(config):
        return {"s-0": 1}[config["id"]]

    trainings.score = score
    assert run(["train", *SIZES]) == 1
    assert states() == ["finished", "failed", "failed"]
    assert "KeyError" in ledger()["jobs"][1]["refusal"]


@without_hydra
def test_a_stop_ends_the_sweep_and_says_how_to_go_on(trainings, capsys):
    trainings.score = stopping(1)
    assert run(["train", *SIZES]) == 130
    assert states() == ["finished", "stopped", "waiting"]
    assert "go on with: seqkit train -m --resume runs/sweeps/s\n" in capsys.readouterr().err
    assert Path("runs/sweeps/s/table.csv").read_text().count("s-") == 1
    trainings.take()
    trainings.score = lambda config: 0.25
    assert run(["train", "-m", "--resume", "runs/sweeps/s"]) == 0
    assert trainings.take() == ["s-1", "s-2"]
    assert states() == ["finished"] * 3


@without_hydra
def test_a_killed_sweep_goes_on(trainings):
    class Killed(BaseException):
        pass

    def score(config):
        if config["id"] == "s-1":
            raise Killed
        return 0.25

    trainings.score = score
    with pytest.raises(Killed):
        run(["train", *SIZES])
    file = Path("runs/sweeps/s/sweep.json")
    file.write_text(file.read_text().replace('"stopped"', '"running"'))  # which a SIGKILL would have left
    trainings.take()
    trainings.score = lambda config: 0.25
    assert run(["train", "-m", "--resume", "s"]) == 0
    assert trainings.take() == ["s-1", "s-2"]


@without_hydra
def test_going_on_from_another_folder_after_a_move(trainings, tmp_path, monkeypatch):
    trainings.score = failing(1)
    assert run(["train", *SIZES]) == 1
    trainings.take()
    trainings.score = lambda config: 0.25
    Path("runs").rename("moved")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(["train", "-m", "--resume", str(tmp_path / "moved/sweeps/s")]) == 0
    assert [config["runs"] for config in trainings.configs] == [str(tmp_path / "moved")]
    assert not (tmp_path / "runs").exists()


@without_hydra
def test_a_job_whose_report_is_gone_is_trained_again(trainings):
    assert run(["train", *ONE]) == 0
    assert trainings.take() == ["s-0"]
    Path("runs/adding/s-0/report.json").unlink()
    assert run(["train", "-m", "--resume", "s"]) == 0
    assert trainings.take() == ["s-0"]


@without_hydra
def test_the_same_command_goes_on_and_another_is_refused(trainings, capsys):
    trainings.score = failing(2)
    assert run(["train", *SIZES]) == 1
    trainings.take()
    trainings.score = lambda config: 0.25
    assert run(["train", *SIZES]) == 0
    assert trainings.take() == ["s-2"]
    capsys.readouterr()
    assert run(["train", *SMALL, "model.hidden_size=4,5", "-m"]) == 1
    assert capsys.readouterr().err == (
        "seqkit: sweep runs/sweeps/s exists with other overrides (without model.hidden_size=4,5,6, with "
        "model.hidden_size=4,5); go on with it as it is by `seqkit train -m --resume runs/sweeps/s`, start it over with "
        "--fresh, or give another id\n"
    )
    assert run(["train", *SMALL, "model.hidden_size=4,5", "-m", "--fresh"]) == 0
    assert trainings.take() == ["s-0", "s-1"]
    assert len(ledger()["jobs"]) == 2


@without_hydra
def test_a_requeued_job_of_slurm_goes_on_with_its_sweep(trainings, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    words = [word for word in ONE if word != "id=s"]
    assert run(["train", *words]) == 0
    assert trainings.take() == ["slurm-7-0"]
    assert run(["train", *words]) == 0
    assert trainings.take() == []
    monkeypatch.delenv("SLURM_JOB_ID")
    assert run(["train", *words]) == 0
    assert len(trainings.take()) == 1
    assert len(list(Path("runs/sweeps").iterdir())) == 2


@pytest.mark.parametrize(("words", "line"), [
    (["seed=2"], "--resume goes on with the sweep as it is; leave out seed=2, or train a new one"),
    (["--fresh"], "--resume goes on with the sweep as it is; leave out --fresh, or train a new one"),
    (["--cfg", "job"], "--resume goes on with the sweep as it is; leave out --cfg job, or train a new one"),
])  # fmt: skip
def test_resume_takes_nothing_else(words, line, capsys):
    assert run(["train", "-m", "--resume", "s", *words]) == 1
    assert capsys.readouterr().err == f"seqkit: {line}\n"


def test_resume_names_the_sweeps_there_are(capsys):
    line = "seqkit: no sweep 'x' here or in runs/sweeps. "
    assert run(["train", "-m", "--resume", "x"]) == 1
    assert capsys.readouterr().err == f"{line}Expected its id or its folder\n"
    Path("runs/sweeps/y").mkdir(parents=True)
    assert run(["train", "-m", "--resume", "x"]) == 1
    assert capsys.readouterr().err == f"{line}Known: y\n"


def test_a_damaged_ledger_is_refused(tmp_path):
    job = {"number": 0, "overrides": [], "run": "adding/s-0"}
    whole = {"words": [], "folder": ".", "components": {}, "jobs": [job]}
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps(whole))
    assert Ledger.read(tmp_path).jobs[0].run == "adding/s-0"
    for damaged in (
        [], {}, {**whole, "jobs": [{}]}, {**whole, "words": None}, {**whole, "jobs": [{**job, "state": "odd"}]},
        {**whole, "jobs": [{**job, "run": "/etc"}]}, {**whole, "jobs": [{**job, "run": "../x"}]},
    ):  # fmt: skip
        file.write_text(json.dumps(damaged))
        with pytest.raises(ConfigError, match=r"^.*sweep.json is not the ledger of a sweep: [^\n]*$"):
            Ledger.read(tmp_path)


@without_hydra
def test_a_job_that_would_now_be_another_is_refused(trainings, capsys):
    assert run(["train", *ONE]) == 0
    file = Path("runs/sweeps/s/sweep.json")
    saved = ledger()
    saved["jobs"][0]["overrides"] = ["model.hidden_size=9"]
    file.write_text(json.dumps(saved))
    capsys.readouterr()
    assert run(["train", "-m", "--resume", "s"]) == 1
    assert "job 0 was model.hidden_size=9, now it would be " in capsys.readouterr().err


def test_launchers_that_keep_no_ledger_are_refused(trainings, capsys):
    assert run(["train", *ONE, "hydra/launcher=basic"]) == 1
    assert capsys.readouterr().err == (
        "seqkit: no hydra/launcher 'basic'. Known: local, serial, submitit_local, submitit_slurm; others keep no ledger\n"
    )


@without_hydra
def test_json_is_the_reports_of_all_jobs(trainings, capsys):
    assert run(["train", *SIZES, "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)
    assert [report["config"]["model"]["hidden_size"] for report in reports] == [4, 5, 6]
    assert reports[0]["overrides"][-1] == "model.hidden_size=4"


def test_configs_of_jobs_are_shown_without_a_sweep(trainings, capsys):
    assert run(["train", *SIZES, "--cfg", "job", "--package", "model.hidden_size"]) == 0
    assert capsys.readouterr().out.split() == ["4", "5", "6"]
    assert not Path("runs").exists()


@without_hydra
def test_a_fresh_sweep_keeps_the_one_that_was_there_with_its_runs(trainings, capsys):
    trainings.score = failing(1)
    assert run(["train", *SIZES]) == 1
    before, config = ledger(), Path("runs/adding/s-0/config.json").read_bytes()
    capsys.readouterr()
    assert run(["train", *SIZES, "--fresh"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == "the sweep that was there is kept as runs/sweeps/s.old-1"
    assert trainings.take() == ["s-0", "s-1", "s-2"] * 2
    aside = ledger("runs/sweeps/s.old-1")
    for job in before["jobs"]:
        job["run"] += ".old-1" * (job["state"] == "finished")
    assert aside == before
    assert Path("runs/adding/s-0.old-1/config.json").read_bytes() == config
    assert run(["train", *SIZES[:3], "id=s.old-1", "-m"]) == 1
    assert "such names are of sweeps that --fresh has put aside" in capsys.readouterr().err


@without_hydra
def test_a_fresh_sweep_is_refused_while_a_run_of_the_old_one_is_trained(trainings, capsys):
    assert run(["train", *SIZES]) == 0
    before = ledger()
    with RunFolder(Path("runs/adding/s-2")).lock():
        assert run(["train", *SIZES, "--fresh"]) == 1
    assert "runs/adding/s-2" in capsys.readouterr().err.splitlines()[-1]
    assert (ledger(), [path.name for path in Path("runs/sweeps").iterdir()]) == (before, ["s"])


@without_hydra
def test_a_fresh_sweep_takes_no_run_of_a_sweep_whose_ledger_is_gone(trainings):
    assert run(["train", *ONE]) == 0
    Path("runs/sweeps/s/sweep.json").unlink()
    assert run(["train", *ONE, "--fresh"]) == 0
    assert sorted(path.name for path in Path("runs/adding").iterdir()) == ["s-0", "s-0.old-1"]


@without_hydra
def test_a_requeued_job_does_not_start_its_sweep_over(trainings, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    trainings.score = stopping(1)
    assert run(["train", *SIZES, "--fresh"]) == 130
    assert trainings.take() == ["s-0", "s-1"]
    trainings.score = lambda config: 0.25
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert run(["train", *SIZES, "--fresh"]) == 0
    assert trainings.take() == ["s-1", "s-2"]
    assert "--fresh was done when this job first started; sweep runs/sweeps/s goes on\n" in capsys.readouterr().err
    monkeypatch.setenv("SLURM_JOB_ID", "8")  # requeued before it came to start anything
    assert run(["train", *SIZES, "--fresh"]) == 0
    assert trainings.take() == ["s-0", "s-1", "s-2"]


@without_hydra
def test_a_job_that_is_still_trained_is_left_to_it(trainings, capsys):
    trainings.score = stopping(1)
    assert run(["train", *SIZES]) == 130
    trainings.take()
    trainings.score = lambda config: 0.25
    Path("runs/adding/s-1").mkdir()
    with RunFolder(Path("runs/adding/s-1")).lock():
        assert run(["train", "-m", "--resume", "s"]) == 1
        assert trainings.take() == ["s-2"]
        assert states() == ["finished", "running", "finished"]
    assert "job 1 running: model.hidden_size=5: another process trains it\n" in capsys.readouterr().err
    assert run(["train", "-m", "--resume", "s"]) == 0
    assert trainings.take() == ["s-1"]

import os
import signal
import time
from pathlib import Path

import pytest

from seqkit import slurm
from seqkit.__main__ import run
from seqkit.errors import Stopped


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Return a function that puts a command of SLURM's in the path, as a script of the shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}

    def command(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    yield command
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_the_end_of_the_allocation(commands, monkeypatch):
    commands("squeue", 'echo "$*" > asked; test "$SLURM_TIME_FORMAT" = %s && echo ' + str(int(time.time()) + 100))
    assert 90 < slurm.seconds_left() <= 100
    assert "--jobs=7 --format=%e" in Path("asked").read_text()
    commands("squeue", "echo N/A")
    assert slurm.seconds_left() is None
    commands("squeue", "exit 1")
    assert slurm.seconds_left() is None
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 50))
    assert 40 < slurm.seconds_left() <= 50
    monkeypatch.delenv("SLURM_JOB_ID")
    assert slurm.seconds_left() is None


def test_a_task_of_an_array_is_named_by_both_numbers(monkeypatch):
    assert slurm.job() == ""
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    assert slurm.job() == "9"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "8")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert slurm.job() == "8_2"


@pytest.mark.parametrize(
    ("reason", "words", "scontrol", "line"),
    [
        ("SIGUSR1", [], "exit 0", "job 7 is requeued and goes on by itself"),
        ("the end of the allocation", [], "exit 0", "job 7 is requeued and goes on by itself"),
        ("SIGUSR1", [], "echo no way >&2; exit 1", "job 7 is not requeued (no way); go on with: seqkit resume x"),
        ("SIGUSR1", ["trainer.requeue=false"], "touch asked", "go on with: seqkit resume x"),
        ("SIGTERM", [], "touch asked", "go on with: seqkit resume x"),
        ("trainer.max_time", [], "touch asked", "go on with: seqkit resume x"),
    ],
)
def test_what_requeues(reason, words, scontrol, line, commands, monkeypatch, capsys):
    from seqkit.commands import train

    def stopped(arguments):
        raise Stopped(reason, 5, Path("x"))

    monkeypatch.setattr(train, "run", stopped)
    commands("scontrol", f"{scontrol}")
    assert run(["train", *words]) == 75
    assert capsys.readouterr().err == f"seqkit: stopped by {reason} at step 5, saved; {line}\n"
    assert not Path("asked").exists()


def test_other_ranks_are_quiet(commands, monkeypatch, capsys):
    from seqkit.commands import train

    def stopped(arguments):
        raise Stopped("SIGUSR1", 5, None)

    monkeypatch.setattr(train, "run", stopped)
    monkeypatch.setenv("SLURM_PROCID", "1")
    commands("scontrol", "touch asked")
    assert run(["train"]) == 75
    assert capsys.readouterr().err == ""
    assert not os.path.exists("asked")

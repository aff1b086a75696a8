import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqkit.__main__ import run
from seqkit.sweeping.runners import _share
from tests.conftest import TINY
from tests.sweeping.conftest import ledger, states

DEADLY = """
import os, signal, sys
import seqkit

@seqkit.register_optimizer("deadly")
def deadly(parameters, *, lr: float = 0.1):
    \"\"\"The end of the process.\"\"\"
    print("share:", os.environ["OMP_NUM_THREADS"], len(os.sched_getaffinity(0)), file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
LONG = [
    *(word for word in TINY if not word.startswith(("trainer.max_steps", "trainer.val_check"))), "id=s", "seed=1,2", "-m",
    "trainer.max_steps=1000000", "trainer.val_check_interval=500000",
]  # fmt: skip


def jobs_here():
    """Return the processes that train jobs of sweeps in the current folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            if {b"seqkit.sweeping.job", b"submitit.core._submit"} & {*words} and (place / "cwd").samefile("."):
                found.append(place.name)
        except OSError:
            continue
    return found


def wait(until, process=None):
    deadline = time.monotonic() + 240
    while not until():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.1)


def start(*words):
    """Start a sweep of two long jobs, and return it when both train."""
    process = subprocess.Popen(
        [sys.executable, "-m", "seqkit", "train", *LONG, *words], stderr=subprocess.PIPE, text=True
    )
    places = [Path(f"runs/tiny/s-{number}/checkpoints/last.ckpt") for number in range(2)]
    wait(lambda: all(place.exists() for place in places), process)
    return process


def test_shares_are_equal_or_had_by_several():
    assert [_share([0, 1, 2, 3, 4], place, 2) for place in range(2)] == [[0, 1], [2, 3]]
    assert [_share(["a", "b"], place, 3) for place in range(3)] == [["a"], ["b"], ["a"]]
    assert _share([], 1, 2) == []


def test_a_job_that_dies_costs_no_other(monkeypatch, capsys):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    Path("mine.py").write_text(DEADLY)
    words = [*TINY, "id=s", "optimizer=deadly,adamw", "-m", "hydra/launcher=local"]
    assert run(["train", *words, "--plugin", "mine.py"]) == 1
    assert states() == ["failed", "finished"]
    cores = max(1, len(os.sched_getaffinity(0)) // 2)
    assert ledger()["jobs"][0]["refusal"] == (
        "its process was killed by SIGKILL, perhaps for want of memory; "
        f"its last line in runs/sweeps/s/job-0.log: share: {cores} {cores}"
    )
    err = capsys.readouterr().err
    assert "job 0 starts: optimizer=deadly (output in job-0.log)\n" in err
    assert "job 1 finished: optimizer=adamw: mse " in err


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stop_reaches_every_job(number):
    process = start("hydra/launcher=local")
    process.send_signal(number)
    _, err = process.communicate(timeout=240)
    assert process.returncode == (130 if number == signal.SIGINT else 75)
    assert jobs_here() == []
    assert states() == ["stopped", "stopped"]
    assert "go on with: seqkit train -m --resume runs/sweeps/s\n" in err


@pytest.mark.slow
def test_no_job_outlives_a_killed_sweep():
    process = start("hydra/launcher=local")
    process.kill()
    wait(lambda: not jobs_here())
    assert states() == ["running", "running"]


@pytest.mark.slow
def test_submitit_local():
    pytest.importorskip("submitit")
    Path("mine.py").write_text(DEADLY)
    words = [*TINY, "id=s", "optimizer=deadly,adamw", "-m", "hydra/launcher=submitit_local"]
    assert run(["train", *words, "--plugin", "mine.py"]) == 1
    assert states() == ["failed", "finished"]


@pytest.mark.slow
def test_a_stop_reaches_the_jobs_of_submitit():
    pytest.importorskip("submitit")
    process = start("hydra/launcher=submitit_local")
    process.send_signal(signal.SIGINT)
    assert process.wait(240) == 130
    assert jobs_here() == []
    assert states() == ["stopped", "stopped"]

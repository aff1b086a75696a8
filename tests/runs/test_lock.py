"""The lock of a run: who holds it, who takes it over from whom, and when a training has lost it."""

import json
import logging
import multiprocessing
import os
import shutil
import signal
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event, Thread

import pytest

import seqkit
from seqkit.errors import TrainingError
from seqkit.runs import lock as module
from seqkit.runs.lock import Holder, LockWatch, lock
from seqkit.training.module import SequenceModule
from tests.conftest import TINY

PATH = Path(".lock")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "STALE", 0.3)
    monkeypatch.setattr(module, "BEAT", 0.02)


def forked(work, *arguments):
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def die_holding(path: Path) -> None:
    with lock(path):
        os.kill(os.getpid(), signal.SIGKILL)


def left_by_a_kill(path: Path = PATH) -> Holder:
    """Let a process die while it holds the lock."""
    forked(die_holding, path).join()
    return held(path)


def held(path: Path = PATH) -> Holder:
    return Holder(**json.loads(path.read_text().splitlines()[0]))


def write(holder: Holder, path: Path = PATH, number: int = 0) -> None:
    path.write_text(f"{json.dumps(asdict(holder))}\n{number:12}\n")


def elsewhere(**changes) -> Holder:
    """Write the lock of a process on another machine."""
    with lock(PATH):
        holder = replace(held(), host="node7", machine="another kernel", **changes)
    write(holder)
    return holder


def test_the_file_names_the_holder_while_it_is_held():
    with lock(PATH):
        assert held().pid == os.getpid()
        with (
            pytest.raises(TrainingError, match=rf"another process \(pid {os.getpid()} on \S+ since 20\d\d-"),
            lock(PATH),
        ):
            raise AssertionError("held twice")
        assert PATH.exists()
    assert not os.listdir()


def test_a_killed_holder_is_taken_over_from_at_once_and_that_is_said(caplog):
    gone = left_by_a_kill()
    with caplog.at_level(logging.WARNING, "seqkit"), lock(PATH):
        assert held().token != gone.token
        assert os.listdir() == [".lock"]
    assert (
        f"its lock is taken over (pid {gone.pid} on {gone.host} since {gone.since}), whose process is gone"
        in caplog.text
    )


def test_a_killed_holder_is_gone_before_its_parent_has_looked():
    process = forked(die_holding, PATH)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    with lock(PATH):
        pass
    process.join()


def test_another_process_under_the_pid_of_the_holder_is_not_the_holder():
    with lock(PATH):
        holder = replace(held(), started="1")
    write(holder)
    with lock(PATH):
        assert held().token != holder.token


def contend(barrier, verdicts, rounds: int) -> None:
    for _ in range(rounds):
        barrier.wait()
        try:
            with lock(PATH):
                verdicts.put("held")
                barrier.wait()
        except TrainingError:
            verdicts.put("refused")
            barrier.wait()
        barrier.wait()


def test_of_many_processes_one_takes_over():
    context = multiprocessing.get_context("fork")
    size, rounds = 6, 30
    barrier, verdicts = context.Barrier(size + 1), context.Queue()
    gone = left_by_a_kill()
    processes = [forked(contend, barrier, verdicts, rounds) for _ in range(size)]
    for number in range(rounds):
        write(gone)
        if number % 3 == 1:  # and one that died while it took over
            write(replace(gone, token="claimant"), Path(f".lock.{gone.token}"))
        elif number % 3 == 2:
            PATH.unlink()
        barrier.wait()
        barrier.wait()
        found = sorted(verdicts.get() for _ in range(size))
        assert found == ["held", *["refused"] * (size - 1)]
        barrier.wait()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def test_a_silent_holder_on_another_machine_is_taken_over_from_in_time_and_that_is_said(caplog):
    holder = elsewhere()
    with caplog.at_level(logging.WARNING, "seqkit"), lock(PATH):
        assert held().token != holder.token
    first, second = caplog.messages
    assert (
        f"is locked (pid {holder.pid} on node7 since {holder.since}); taken over if there is no sign of life" in first
    )
    assert "its lock is taken over" in second


def test_a_holder_on_another_machine_that_renews_its_lock_is_left_alone():
    holder, over = elsewhere(), Event()

    def renew() -> None:
        number = 0
        while not over.wait(0.02):
            write(holder, number=(number := number + 1))

    thread = Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(TrainingError, match="another process .* on node7"), lock(PATH):
            raise AssertionError("taken over")
    finally:
        over.set()
        thread.join()
    assert held() == holder


def test_a_holder_renews_its_lock():
    with lock(PATH):
        first = PATH.read_bytes()
        while PATH.read_bytes() == first:
            Event().wait(0.01)
        assert held().pid == os.getpid()


def test_a_holder_on_another_machine_whose_flock_is_seen_is_left_alone():
    elsewhere()
    with PATH.open() as file:
        module.fcntl.flock(file, module.fcntl.LOCK_EX)
        with pytest.raises(TrainingError, match="on node7"), lock(PATH):
            raise AssertionError("taken over")


@pytest.mark.parametrize(("job", "restart", "at_once"), [("7", "1", True), ("7", "0", False), ("8", "1", False)])
def test_a_job_that_was_started_again_takes_over_from_its_earlier_start_at_once(
    job, restart, at_once, monkeypatch, caplog
):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    elsewhere(job="SLURM job 7")
    monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setenv("SLURM_RESTART_COUNT", restart)
    with caplog.at_level(logging.WARNING, "seqkit"), lock(PATH):
        pass
    assert ("no sign of life" not in caplog.text) == at_once


@pytest.mark.parametrize("content", ["", "[1]", '{"token": "../x"}'])
def test_a_file_that_names_nobody_is_watched(content, caplog):
    PATH.write_text(content)
    with caplog.at_level(logging.WARNING, "seqkit"), lock(PATH):
        assert held().pid == os.getpid()
    assert "is locked (by whom, its file does not tell)" in caplog.text


def test_a_run_that_is_copied_while_it_is_trained_is_not_locked():
    Path("a").mkdir()
    with lock(Path("a/.lock")):
        shutil.copytree("a", "b")
        with lock(Path("b/.lock")):
            assert held(Path("a/.lock")).token != held(Path("b/.lock")).token


def test_a_run_that_is_renamed_while_it_is_trained_is_still_locked():
    Path("a").mkdir()
    with lock(Path("a/.lock")):
        Path("a").rename("b")
        with pytest.raises(TrainingError), lock(Path("b/.lock")):
            raise AssertionError("taken over")


def test_a_watch_tells_how_the_lock_was_lost():
    assert not LockWatch(Path("none")).lost_reason(now=True)
    with lock(PATH):
        first, second = LockWatch(PATH), LockWatch(PATH)
        assert not first.lost_reason(now=True)
        write(replace(held(), token="another", host="node7"))
        assert not first.lost_reason()  # looked at a moment ago
        assert first.lost_reason(now=True).startswith(f"was taken over by pid {os.getpid()} on node7 since ")
        PATH.unlink()
        assert second.lost_reason(now=True) == "is gone (.lock was deleted)"
    assert not PATH.exists()


def test_the_lock_of_another_is_not_released():
    with lock(PATH):
        write(replace(held(), token="another"))
    assert held().token == "another"


@pytest.mark.parametrize("deleted", [True, False])
def test_a_training_that_has_lost_its_lock_stops_and_writes_nothing_more(deleted, monkeypatch):
    run, step, before = Path("runs/tiny/a"), SequenceModule.training_step, {}

    def losing(self, batch, batch_idx):
        if batch_idx == 3:
            before.update({place: place.read_bytes() for place in (run / "checkpoints").iterdir()})
            if deleted:
                (run / ".lock").unlink()
            else:
                write(replace(held(run / ".lock"), token="another"), run / ".lock")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SequenceModule, "training_step", losing)
    reason = "is gone" if deleted else "was taken over by pid"
    with pytest.raises(TrainingError, match=f"the lock of the run {reason}.*; stopped at step 4 without saving"):
        seqkit.train([*TINY, "id=a"])
    assert {place: place.read_bytes() for place in (run / "checkpoints").iterdir()} == before
    assert not (run / "report.json").exists()

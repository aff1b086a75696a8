"""Ranks that are started on this machine: how they end, and that none is left."""

import atexit
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from seqkit.ranks import DelayedMax, group
from seqkit.ranks.launch import launch

REPOSITORY = Path(__file__).parents[2]


def part(how, folder, seconds=600.0):
    """Do what ``how`` says; each rank notes its process first."""
    ranks = group()
    Path(folder, f"{ranks.rank}.pid").write_text(str(os.getpid()))
    ranks.watch(seconds)
    ranks.barrier()
    if ranks.rank == 1:
        if how == "fails":
            raise KeyError("a note")
        if how in ("SIGKILL", "SIGSTOP"):
            os.kill(os.getpid(), getattr(signal, how))
        if how == "differs":
            ranks.refuse_if_unequal({"version": "2", "backends": {"layer 0": "reference", "layer 1": "fused"}})
    if how == "differs":
        ranks.refuse_if_unequal({"version": "2", "backends": {"layer 0": "fused", "layer 1": "fused"}})
    if how == "agrees":
        atexit.register(Path(folder, f"{ranks.rank}.left").touch)
        largest = DelayedMax(ranks)
        found = [largest(ranks.rank * step) for step in (1, 2, 3)]
        assert found == [0, 1, 2], found
        assert ranks.gather(ranks.rank) == [0, 1]
        assert ranks.broadcast(ranks.rank) == 0
        return
    ranks.barrier()
    ranks.barrier()


def run(how, folder, monkeypatch, **options):
    """Return how two ranks end, what they logged, and the processes that are left of them."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    logs = [folder / f"{rank}.log" for rank in range(2)]
    end = launch(part, {"how": how, "folder": str(folder), **options}, 2, logs)
    left = [pid for rank in range(2) if alive(pid := int((folder / f"{rank}.pid").read_text()))]
    return end, logs[1].read_text(), left


def alive(pid):
    return Path(f"/proc/{pid}").exists()


def test_ranks_agree_and_end(tmp_path, monkeypatch):
    end, log, left = run("agrees", tmp_path, monkeypatch)
    assert (end, log, left) == (None, "", [])
    assert all((tmp_path / f"{rank}.left").exists() for rank in range(2))  # what is registered for the end was done


def test_a_rank_that_fails_ends_all_and_says_why_once(tmp_path, monkeypatch):
    end, log, left = run("fails", tmp_path, monkeypatch)
    assert (end.rank, end.text, end.code, left) == (1, "KeyError: 'a note'", 1, [])
    assert "Traceback" in log


def test_a_rank_that_is_killed_ends_all(tmp_path, monkeypatch):
    end, _, left = run("SIGKILL", tmp_path, monkeypatch)
    pid = (tmp_path / "1.pid").read_text()
    assert (end.rank, end.text, left) == (1, f"process {pid} was killed by SIGKILL", [])


def test_a_rank_that_hangs_is_named_and_killed(tmp_path, monkeypatch):
    end, _, left = run("SIGSTOP", tmp_path, monkeypatch, seconds=3.0)
    assert end.rank == 1
    assert end.text.endswith(f"process {(tmp_path / '1.pid').read_text()} has not answered for 3 s")
    assert left == []


def test_a_rank_that_differs_is_named(tmp_path, monkeypatch):
    end, _, left = run("differs", tmp_path, monkeypatch)
    assert "rank 1 (" in end.text
    assert "differs from rank 0" in end.text
    assert end.text.endswith("in backends: layer 0 is reference, not fused")
    assert left == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word that a parent is gone")
def test_ranks_end_with_the_process_that_started_them(tmp_path):
    script = f"""
        from pathlib import Path
        from seqkit.ranks.launch import launch
        from tests.ranks.test_launch import part
        launch(part, {{"how": "SIGSTOP", "folder": {str(tmp_path)!r}}}, 2, [Path({str(tmp_path)!r}, f"{{n}}.log") for n in (0, 1)])
    """
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=environment)
    pids = [wait_for(tmp_path / f"{rank}.pid", parent) for rank in range(2)]
    parent.kill()
    parent.wait()
    for pid in pids:
        while alive(pid) and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            pass


def wait_for(file, process):
    while not (file.exists() and file.read_text()):
        assert process.poll() is None, "it ended before it had started its ranks"
    return int(file.read_text())

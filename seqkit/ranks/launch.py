"""Starting the ranks of a run on this machine, and ending them together.

torch's elastic launcher is not used: to it a rank that ends before the others has failed, it then sends them a
SIGTERM, which here means "save", and after a signal of its own it gives them 30 seconds.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

from torch import distributed as dist

from seqkit.errors import Stopped
from seqkit.ranks.heart import END, GRACE, End
from seqkit.ranks.parts import name_of
from seqkit.ranks.place import STORE

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
POLL = 0.05  # seconds


def launch(part: Callable[..., object], arguments: dict[str, Any], size: int, logs: Sequence[Path]) -> End | None:
    """Run a function in ranks of their own; return why they ended before they were done.

    Rank 0 speaks on this terminal, the others write to their logs. Signals are passed on to all. When one fails, the
    others have ``GRACE`` seconds to end; whatever happens, none is left.

    Args:
        part: Function of a module, which each rank calls.
        arguments: Its keyword arguments, plain JSON.
        size: Number of ranks.
        logs: Of each rank; the first one's is not used.
    """
    own = [name_of(part), json.dumps(arguments)]
    command = [sys.executable, "-P", "-m", "seqkit.ranks", *own]
    store = dist.TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)
    ranks: list[subprocess.Popen] = []
    try:
        with _signals_passed_on(ranks) as passed_on:
            for rank in range(size):
                with _output(rank, logs[rank]) as output, _signals_held():
                    ranks.append(_start(command, rank, size, store.port, output))
            end = _wait(ranks, store, passed_on)
    finally:
        _kill(ranks)
    return end


def _start(command: Sequence[str], rank: int, size: int, port: int, output: IO | None) -> subprocess.Popen:
    threads = max(1, len(os.sched_getaffinity(0)) // size)
    environment = {
        "OMP_NUM_THREADS": str(threads),  # unless its user has said so
        **os.environ,
        STORE: "launch",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "GROUP_RANK": "0",
        "GROUP_WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # Ctrl-C comes here, and is passed on once
    )


@contextmanager
def _output(rank: int, log: Path) -> Iterator[IO | None]:
    if rank == 0:
        yield None
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            yield file


def _wait(ranks: Sequence[subprocess.Popen], store: dist.Store, passed_on: Sequence[str]) -> End | None:
    """Wait until every rank has ended; return why, if not because all is done."""
    own = dist.PrefixStore("0", store)
    ended_at = 0.0
    while None in [rank.poll() for rank in ranks]:
        for number, rank in enumerate(ranks):
            if (rank.returncode or 0) < 0:
                killed_by = signal.Signals(-rank.returncode).name
                _say(own, End(number, f"process {rank.pid} was killed by {killed_by}"))
        if not ended_at and own.check([END]):
            ended_at = time.monotonic()
        if ended_at and time.monotonic() - ended_at > GRACE + 2:
            _kill(ranks)
        time.sleep(POLL)
    if not any(rank.returncode for rank in ranks):
        return None
    number = next(number for number, rank in enumerate(ranks) if rank.returncode)
    code, pid = ranks[number].returncode, ranks[number].pid
    stopped = passed_on[-1] if passed_on and code == Stopped.CODE else ""  # before it could say so
    return _say(own, End(number, f"process {pid} ended with exit code {code}", code, stopped))


def _say(store: dist.Store, end: End) -> End:
    """Return the reason that stands: this one, if no rank has said another."""
    return End(**json.loads(store.compare_set(END, "", json.dumps(vars(end)))))


def _kill(ranks: Sequence[subprocess.Popen]) -> None:
    """Kill the ranks that still run, with the processes that they have started."""
    for rank in ranks:
        if rank.poll() is None or rank.returncode < 0:
            with suppress(ProcessLookupError):
                os.killpg(rank.pid, signal.SIGKILL)
            rank.wait()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let a process that is started here get no signal before it can answer; see ``seqkit.ranks.__main__``."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _signals_passed_on(ranks: Sequence[subprocess.Popen]) -> Iterator[list[str]]:
    """Pass signals on to the ranks, which know what to do with the first and with another; yields their names."""
    names: list[str] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        names.append(signal.Signals(number).name)
        for rank in ranks:
            if rank.poll() is None:
                os.kill(rank.pid, number)

    if threading.current_thread() is not threading.main_thread():
        yield names
        return
    before = {number: signal.signal(number, pass_on) for number in FORWARDED}
    try:
        yield names
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

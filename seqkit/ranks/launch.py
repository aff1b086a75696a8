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

from seqkit.errors import Stopped, TrainingError, shown
from seqkit.ranks.heart import END, GRACE, End
from seqkit.ranks.parts import name_of
from seqkit.ranks.place import STARTED_BY, processors
from seqkit.stopping import held

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
POLL = 0.05  # seconds
CLOSING = 60.0  # seconds that rank 0 has, once all have stopped as asked, to close its loggers


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
        with _signals_taken() as taken:
            for rank in range(size):
                with _output(rank, logs[rank]) as output, held(*FORWARDED):  # until `__main__` answers
                    ranks.append(_start(command, rank, size, store.port, output))
            end = _wait(ranks, store, taken)
    finally:
        _kill(ranks)
    return end


def failure(end: End, logs: Sequence[Path]) -> BaseException:
    """Return what a process that has launched ranks raises where they failed or were interrupted."""
    if end.code == 130:
        return KeyboardInterrupt()
    log = f" (its log: {shown(logs[end.rank])})" if end.rank else ""
    return TrainingError(f"rank {end.rank}: {end.text}{log}")


def _start(command: Sequence[str], rank: int, size: int, port: int, output: IO | None) -> subprocess.Popen:
    threads = max(1, processors() // size)
    environment = {
        "OMP_NUM_THREADS": str(threads),  # unless its user has said so
        **os.environ,
        STARTED_BY: str(os.getpid()),
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


def _wait(ranks: Sequence[subprocess.Popen], store: dist.Store, taken: Sequence[signal.Signals]) -> End | None:
    """Pass signals on until every rank has ended; return why, if not because all is done."""
    own = dist.PrefixStore("0", store)
    passed_on, until = 0, float("inf")
    while None in [rank.poll() for rank in ranks]:
        for name in taken[passed_on:]:
            passed_on += 1
            for rank in ranks:
                rank.send_signal(name)
        for number, rank in enumerate(ranks):
            if rank.returncode:
                _say(own, _end_of(number, rank, taken))
        if until == float("inf") and own.check([END]):
            stops = End(**json.loads(own.get(END))).signal
            until = time.monotonic() + (CLOSING if stops else GRACE + 2)
        if time.monotonic() > until:
            _kill(ranks)
        time.sleep(POLL)
    failed = next((number for number, rank in enumerate(ranks) if rank.returncode), None)
    return None if failed is None else _say(own, _end_of(failed, ranks[failed], taken))


def _end_of(number: int, rank: subprocess.Popen, taken: Sequence[signal.Signals]) -> End:
    """Return how the process of a rank ended, should it not have said why itself."""
    code = rank.returncode
    if code < 0:
        return End(number, f"process {rank.pid} was killed by {signal.Signals(-code).name}")
    stopped = taken[-1].name if taken and code == Stopped.CODE else ""  # before it could say so
    return End(number, f"process {rank.pid} ended with exit code {code}", code, stopped)


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
def _signals_taken() -> Iterator[list[signal.Signals]]:
    """Note signals for the ranks, which know what to do with the first and with another."""
    taken: list[signal.Signals] = []

    def note(number: int, frame: FrameType | None) -> None:
        taken.append(signal.Signals(number))

    if threading.current_thread() is not threading.main_thread():
        yield taken
        return
    before = {number: signal.signal(number, note) for number in FORWARDED}
    try:
        yield taken
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

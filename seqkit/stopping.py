"""Being asked to stop: by a signal, by ``trainer.max_time``, by the end of a SLURM job's allocation.

Outside the training (imports, data, dry run, report) a signal acts at once: the last checkpoint is whole. Inside it a
signal is a request that the training looks at between two steps; a second one acts at once.
Nothing heavy is imported here: a signal may come before torch is there.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqkit import slurm
from seqkit.errors import Stopped

MAX_TIME = "trainer.max_time"
ALLOCATION = "the end of the allocation"
REQUEUING = (ALLOCATION, "SIGUSR1")
"""After these the job goes back into SLURM's queue. Not after SIGTERM: SLURM sends it when it requeues a preempted job
itself, and after ``scancel``, which is final."""

NAMES = ("", MAX_TIME, *REQUEUING, "SIGTERM", "SIGINT")
"""Names of requests; where ranks were asked differently, the last of these holds for all."""

SAME = 1.0  # seconds within which a signal again is the same one, passed on by a shell or launcher too
FLOOR = 30.0  # seconds of an allocation that closing and requeuing may take
DURATION = re.compile(r"(?:(\d+)[-:])?(\d{1,2}):([0-5]\d):([0-5]\d)")


class StopRequest:
    """Whether a stop has been asked for, and by what: ``name`` is one of ``NAMES``, and may be set from elsewhere.

    Attributes:
        name: What asked; "" when nothing did.
        folder: Of the run that is being trained; None before there is one.
        requeue: Whether a SLURM job is to be requeued.
        limits: By which the training has to be over; looked at between two steps.
    """

    def __init__(self) -> None:
        self.name = ""
        self.folder: Path | None = None
        self.requeue = True
        self.limits: list[TimeLimit] = []
        self._inside = False
        self._asked = 0.0
        self._process = os.getpid()

    def __bool__(self) -> bool:
        return bool(self.name)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGTERM and SIGUSR1, and be the ``current`` request, while a command runs."""
        global _current
        before, _current = _current, self
        try:
            with _handled_by(self._take, signal.SIGTERM, signal.SIGUSR1):
                yield
        finally:
            _current = before

    @contextmanager
    def of_run(self, folder: Path, requeue: bool) -> Iterator[None]:
        """Name the run that a signal would stop."""
        self.folder, self.requeue = folder, requeue
        try:
            yield
        finally:
            self.folder = None

    @contextmanager
    def training(self) -> Iterator[None]:
        """Take SIGINT, SIGTERM and SIGUSR1 as requests. Outside the main thread the process's handlers stay."""
        with _handled_by(self._take, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            self._inside = True
            if self.name == MAX_TIME:  # of a job before this one in a sweep, which was done by then
                self.name = ""
            try:
                yield
            finally:
                self._inside, self.limits = False, []

    def look(self) -> None:
        """Look at the time; to be called at each boundary where the training could be saved and stopped."""
        for limit in self.limits:
            if limit.is_due() and not self.name:
                self.name = limit.name

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Measure how long a save takes, for the margin of the time limits."""
        started = time.monotonic()
        yield
        for limit in self.limits:
            limit.saved(time.monotonic() - started)

    def _take(self, number: int, frame: Any) -> None:
        if os.getpid() != self._process:
            return  # a worker that inherited the handler; the training that it serves ends it
        name, before, now = signal.Signals(number).name, self.name, time.monotonic()
        if before in ("SIGTERM", "SIGINT"):
            if number != signal.SIGUSR1 and (name != before or now - self._asked >= SAME):
                _act_at_once(number)
            return
        if name == before:
            return
        self.name, self._asked = name, now
        if self._inside:
            more = "" if number == signal.SIGUSR1 else "; once more stops at once"
            os.write(2, f"\n{name}: stopping after this step{more}\n".encode())
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        elif not before:  # else it is stopping
            raise Stopped(name, None, self.folder)


class TimeLimit:
    """A moment by which the training has to be saved and over.

    The margin before it is measured: the longest save, and twice the longest stretch between two boundaries so far,
    since ranks agree to stop at the boundary after.

    Args:
        name: Of the request that it makes.
        seconds: From now.
        floor: Seconds of the margin beside what is measured.
        left: Tells the seconds left once more when the limit is due, for it may have moved; None: it has not.
        clock: Seconds, from any start; not the time of day, which may be put back.
    """

    def __init__(
        self,
        name: str,
        seconds: float,
        floor: float = 0.0,
        left: Callable[[], float | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.floor, self._left, self._clock = name, floor, left, clock
        self._boundary = clock()
        self._end = self._boundary + seconds
        self._stretch = self._save = 0.0

    def saved(self, seconds: float) -> None:
        """Note how long a save took."""
        self._save = max(self._save, seconds)
        self._boundary += seconds  # no part of the stretch

    def is_due(self) -> bool:
        """Whether the next boundary, and a save there, could come too late; to be asked at each boundary."""
        now = self._clock()
        self._stretch, self._boundary = max(self._stretch, now - self._boundary), now
        last = now + 2 * self._stretch + self._save + self.floor
        if last >= self._end and self._left is not None:
            left = self._left()
            self._end = self._end if left is None else now + left
        return last >= self._end


_current: StopRequest | None = None


def current() -> StopRequest:
    """Return the request of the command that runs, or a new one where none does: in a script, in a notebook."""
    return StopRequest() if _current is None else _current


def time_limits(max_time: str | None) -> list[TimeLimit]:
    """Return the limits of a training that starts now: ``trainer.max_time``, and the end of a SLURM job."""
    limits = [TimeLimit(MAX_TIME, seconds(max_time))] if max_time else []
    left = slurm.seconds_left()
    return limits if left is None else [*limits, TimeLimit(ALLOCATION, left, FLOOR, slurm.seconds_left)]


def seconds(duration: str) -> int:
    """Return the seconds of ``HH:MM:SS``, ``D-HH:MM:SS`` (SLURM's) or ``DD:HH:MM:SS`` (Lightning's).

    Raises:
        ValueError: It is none of these; SLURM's ``MM`` and ``MM:SS`` are too easily meant otherwise.
    """
    found = DURATION.fullmatch(duration)
    days, hours, minutes, rest = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
    total = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if not total:
        raise ValueError("say HH:MM:SS or D-HH:MM:SS, in quotes in a YAML file")
    return total


@contextmanager
def _handled_by(handler: Callable[[int, Any], None], *numbers: signal.Signals) -> Iterator[None]:
    """Install a handler, and put back those before it at the end; SIGINT that is ignored, as under nohup, stays so."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in numbers}
        if before.get(signal.SIGINT) is signal.SIG_IGN:
            del before[signal.SIGINT]
        for number in before:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            if old is not None:  # None: it was not set from Python
                signal.signal(number, old)


@contextmanager
def held(*numbers: signal.Signals) -> Iterator[None]:
    """Let a process that is started here get no such signal before it can answer it: it waits, also in that process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _act_at_once(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

"""One training whole, the same killed at each of some moments and started again: are the outcomes equal to the bit?"""

import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqkit import interrupting
from seqkit.config import Config
from seqkit.errors import SeqkitError, TrainingError
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder
from seqkit.verifying.comparing import first_difference
from seqkit.verifying.points import REPORT
from seqkit.verifying.processes import Command, Script, side_by_side

KILL = "SIGKILL"
BEFORE_REPORT = f"{KILL}@report"
ID = "run"
MOST, LEAST = 20, 600.0  # a process is given so many times as long as the uninterrupted run took, and so many seconds


@dataclass(frozen=True)
class Outcome:
    """What became of a training that was interrupted.

    Args:
        point: The interruption, as in SEQKIT_INTERRUPT.
        reached: Whether the uninterrupted run ever was at this moment; otherwise nothing was tried.
        ended: How the interrupted process ended.
        step: Optimizer step of the checkpoint that it went on from; None for the start.
        difference: First difference from the uninterrupted run, or why it could not go on; "" where it is equal.
        seconds: For both processes.
    """

    point: str
    reached: bool = True
    ended: str = ""
    step: int | None = None
    difference: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Options:
    """How to verify.

    Args:
        points: Interruptions.
        folder: For the runs.
        jobs: Trainings side by side.
        keep: Keep the runs that are equal.
        report: Make and compare reports too.
    """

    points: Sequence[str]
    folder: Path
    jobs: int = 1
    keep: bool = False
    report: bool = True


class Verification:
    """Trainings of one config with and without interruptions.

    Args:
        overrides: Of the training, less ``runs`` and ``id``.
        config: That they compose to.
        options: How to verify.
    """

    def __init__(self, overrides: Sequence[str], config: Config, options: Options) -> None:
        self.overrides, self.config, self.options = tuple(overrides), config, options
        self._limit: float | None = None

    def run(self, name: str) -> RunFolder:
        """Return the run of the training with a name."""
        return RunFolder(self.options.folder / name / self.config["name"] / ID)

    def train_whole(self) -> float:
        """Train without interruption and return the seconds that it took.

        It passes the moments with a signal that does nothing, which tells which of them there are.

        Raises:
            TrainingError: It fails.
        """
        passed = [_passed(point) for point in self.options.points]
        end = [] if self.options.report else [BEFORE_REPORT]
        (seconds,) = side_by_side([self._uninterrupted("whole", ";".join([*passed, *end]))], 1)
        self._limit = max(LEAST, MOST * seconds)
        return seconds

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of each interruption, as they come."""
        seen = self._said("whole")
        points = self.options.points
        are_there = [interrupting.said(_passed(point)) in seen for point in points]
        yield from (Outcome(point, reached=False) for point, there in zip(points, are_there, strict=True) if not there)
        scripts = [
            self._interrupted(f"{number:02}", point)
            for number, (point, there) in enumerate(zip(points, are_there, strict=True), 1)
            if there
        ]
        yield from side_by_side(scripts, self.options.jobs)

    def difference_of_two_whole_runs(self) -> str:
        """Train without interruption once more and return the first difference of the two, or ""."""
        list(side_by_side([self._uninterrupted("again", BEFORE_REPORT)], 1))
        return first_difference(self.run("whole"), self.run("again"))

    def _uninterrupted(self, name: str, interruptions: str) -> Script[float]:
        started = time.monotonic()
        code = yield self._command(name, interruptions)
        if not self._is_trained(name, code):
            raise TrainingError(f"without interruption it ends with {_ended(code)}: {self._last_line(name)}")
        return time.monotonic() - started

    def _interrupted(self, name: str, point: str) -> Script[Outcome]:
        started = time.monotonic()
        first = yield self._command(name, point)
        step = self._step(name)
        # The report is made of the data and what is compared, and may take longer than all the rest.
        second = yield self._command(name, "" if point.endswith(REPORT) else BEFORE_REPORT)
        if self._is_trained(name, second):
            difference = first_difference(self.run("whole"), self.run(name))
        else:
            difference = f"started again, it ends with {_ended(second)}: {self._last_line(name)}"
        if not difference and not self.options.keep:
            shutil.rmtree(self.options.folder / name, ignore_errors=True)
        return Outcome(point, True, _ended(first), step, difference, time.monotonic() - started)

    def _command(self, name: str, interruptions: str) -> Command:
        folder = self.options.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        runs = str(folder).replace("\\", "\\\\").replace("'", "\\'")
        words = ("train", *self.overrides, f"runs='{runs}'", f"id={ID}")
        return Command(words, folder / "output.txt", {interrupting.VARIABLE: interruptions}, self._limit)

    def _is_trained(self, name: str, code: int | None) -> bool:
        """Whether a process came to the end of its training."""
        return code == 0 or (code is not None and interrupting.said(BEFORE_REPORT) in self._said(name))

    def _step(self, name: str) -> int | None:
        try:
            return Checkpoint.read(self.run(name).last).step
        except SeqkitError:
            return None

    def _said(self, name: str) -> set[str]:
        """Return the lines that the processes of a training have said."""
        logs = [self.options.folder / name / "output.txt", *sorted(self.run(name).path.rglob("*.log"))]
        return {line for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()}

    def _last_line(self, name: str) -> str:
        lines = (self.options.folder / name / "output.txt").read_text(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("seqkit: ") if lines else "it said nothing"


def _passed(point: str) -> str:
    """Return the interruption at the same moment by a signal that does nothing."""
    return f"SIGCONT@{point.rpartition('@')[2]}"


def _ended(code: int | None) -> str:
    """Return how a process ended, in words."""
    if code is None:
        return "no end in time"
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

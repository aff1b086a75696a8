"""Runners: where and how many at a time the jobs of a sweep are trained."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, TypeVar

from seqkit.config import Config
from seqkit.errors import ConfigError, shortened, shown
from seqkit.ranks import place_here
from seqkit.sweeping import job
from seqkit.sweeping.job import Flags, Outcome

POLL = 0.1
"""Seconds between two looks at whether a job has ended."""


class Task(NamedTuple):
    """What a runner needs of a job.

    Args:
        number: Of the job.
        config: Resolved.
        log: File for what its process prints.
    """

    number: int
    config: Config
    log: Path


class Runner(Protocol):
    """Trains jobs; ``started`` is called with the number of each as it starts, and each outcome is given as it comes.

    A signal to stop reaches every job, and the runner raises it when all have ended.
    """

    in_sight: ClassVar[bool]
    """Whether the terminal shows what the jobs print."""

    def __call__(
        self, tasks: Sequence[Task], flags: Flags, started: Callable[[int, str], None]
    ) -> Generator[tuple[int, Outcome], None, None]: ...


class Here:
    """One after another in this process, which saves their starts."""

    in_sight: ClassVar[bool] = True

    def __call__(
        self, tasks: Sequence[Task], flags: Flags, started: Callable[[int, str], None]
    ) -> Generator[tuple[int, Outcome], None, None]:
        for task in tasks:
            started(task.number, "")
            yield task.number, job.run(task.config, flags)


class Processes:
    """Side by side on this machine, each in a process with its share of the processors and its own GPU.

    Args:
        n_jobs: Jobs at a time.
    """

    in_sight: ClassVar[bool] = False

    def __init__(self, n_jobs: int) -> None:
        if not isinstance(n_jobs, int) or n_jobs < 1:
            raise ConfigError(f"hydra.launcher.n_jobs={n_jobs}: not a whole number above 0")
        self.n_jobs = n_jobs

    def __call__(
        self, tasks: Sequence[Task], flags: Flags, started: Callable[[int, str], None]
    ) -> Generator[tuple[int, Outcome], None, None]:
        refuse_on_ranks()
        waiting = list(reversed(tasks))
        places = self.n_jobs  # also for fewer jobs: those that go on need the share that they had
        running: dict[int, _Process] = {}
        try:
            while waiting or running:
                for place in range(places):
                    if waiting and place not in running:
                        task = waiting.pop()
                        running[place] = _Process(task, flags, place, places)
                        started(task.number, f"output in {task.log.name}")
                for place, process in list(running.items()):
                    if process.ended():
                        del running[place]
                        yield process.task.number, process.outcome()
                time.sleep(POLL)
        except BaseException as reason:
            _stop(list(running.values()), signal.SIGINT if isinstance(reason, KeyboardInterrupt) else signal.SIGTERM)
            raise


def refuse_on_ranks() -> None:
    """Refuse to start processes from one of several ranks."""
    place = place_here()
    if place.starter != "nobody":
        raise ConfigError(
            f"{place.starter} started {place.size} ranks for each job: say hydra/launcher=serial, "
            "or start seqkit once and let trainer.devices start the ranks"
        )


class _Process:
    """A job in a process of its own, which no signal from the terminal reaches unless it is passed on."""

    def __init__(self, task: Task, flags: Flags, place: int, places: int) -> None:
        self.task = task
        cores = _share(sorted(os.sched_getaffinity(0)), place, places) if hasattr(os, "sched_getaffinity") else []
        with task.log.open("w") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "seqkit.sweeping.job"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
                env={**os.environ, **_environment(len(cores), place, places)},
            )  # fmt: skip
        if cores:
            os.sched_setaffinity(self.popen.pid, cores)
        assert self.popen.stdin
        # It stays open: that it ends tells the job that this process is gone.
        try:
            self.popen.stdin.write(json.dumps({"config": task.config, "flags": asdict(flags)}) + "\n")
            self.popen.stdin.flush()
        except BrokenPipeError:
            pass  # it died at once; its outcome says so

    def ended(self) -> bool:
        return self.popen.poll() is not None

    def outcome(self) -> Outcome:
        answer = self.popen.communicate()[0]
        try:
            return Outcome(**json.loads(answer))
        except ValueError:
            return Outcome("failed", f"its process {_end(self.popen.returncode)}; {_last_line(self.task.log)}")


def _stop(running: Sequence[_Process], number: int) -> None:
    """Pass a signal on and wait until each job has saved and ended; a second signal ends them at once."""
    try:
        for process in running:
            process.popen.send_signal(number)
        for process in running:
            process.popen.wait()
    except BaseException:
        for process in running:
            process.popen.kill()
            process.popen.wait()
        raise


def _environment(cores: int, place: int, places: int) -> dict[str, str]:
    """Return the variables that give a job its share of the machine."""
    share = {}
    if cores and "OMP_NUM_THREADS" not in os.environ:
        share = {"OMP_NUM_THREADS": str(cores)}
    gpus = _share(_visible_gpus(), place, places)
    return {**share, "CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else share


def _visible_gpus() -> list[str]:
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip()]
    return [str(number) for number in range(torch.cuda.device_count())]


Thing = TypeVar("Thing")


def _share(things: Sequence[Thing], place: int, places: int) -> list[Thing]:
    """Return the share of one of ``places``: equal numbers side by side, or one that others have too."""
    each = len(things) // places
    if each:
        return list(things[place * each : (place + 1) * each])
    return [things[place % len(things)]] if things else []


def _end(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}{', perhaps for want of memory' * (code == -signal.SIGKILL)}"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"its last line in {shown(log)}: {shortened(last, 200)}" if last else f"{shown(log)} is empty"

"""Commands of seqkit as processes of their own, several side by side, without importing everything for each.

Each is forked from the standard library's fork server, which has imported what a training needs and has one thread
only, and then runs what ``python -m seqkit`` runs.
"""

import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Generic, TypeVar

IMPORTED = ("seqkit.experiment", "seqkit.training.fit")
GRACE = 5.0  # seconds for a process that was told to end

Result = TypeVar("Result")


@dataclass(frozen=True)
class Command:
    """A command line of seqkit.

    Args:
        words: That follow ``seqkit``.
        log: File that its output is added to.
        environment: Variables that are set for it.
        limit: Seconds after which it is killed; None for never.
    """

    words: tuple[str, ...]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    limit: float | None = None


Script = Generator[Command, "int | None", Result]
"""Yields commands, gets the exit code of each (None where it passed its limit) and returns a result."""


@dataclass
class _Running(Generic[Result]):
    script: Script[Result]
    command: Command
    process: Any
    until: float


def side_by_side(scripts: Iterable[Script[Result]], jobs: int) -> Iterator[Result]:
    """Run scripts, at most ``jobs`` at a time, and yield their results as they come."""
    waiting, running = iter(scripts), dict[Any, _Running[Result]]()

    def go_on(script: Script[Result], code: int | None, begins: bool = False) -> Iterator[Result]:
        try:
            command = next(script) if begins else script.send(code)
        except StopIteration as end:
            yield end.value
            return
        process = _start(command)
        until = float("inf") if command.limit is None else time.monotonic() + command.limit
        running[process.sentinel] = _Running(script, command, process, until)

    try:
        while True:
            while len(running) < jobs and (script := next(waiting, None)) is not None:
                yield from go_on(script, None, begins=True)
            if not running:
                return
            left = min(one.until for one in running.values()) - time.monotonic()
            ended = wait(list(running), None if left == float("inf") else max(0.0, left))
            late = [key for key, one in running.items() if one.until <= time.monotonic()]
            for key in {*ended, *late}:
                one = running.pop(key)
                if key in late and key not in ended:
                    _end(one.process)
                else:
                    one.process.join()
                yield from go_on(one.script, one.process.exitcode if key in ended else None)
    finally:
        for one in running.values():
            _end(one.process)


def _start(command: Command) -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    # A training that knows of its job would have it requeued by a signal that is sent on purpose.
    here = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")} | command.environment
    safe = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"  # the server, like seqkit, imports nothing from the current folder
    try:
        process = context.Process(target=_run, args=(command, here, Path.cwd()))
        process.start()
    finally:
        os.environ.pop("PYTHONSAFEPATH") if safe is None else os.environ.update(PYTHONSAFEPATH=safe)
    return process


def _end(process: Any) -> None:
    """End a process, with the time to end those that it has started."""
    process.terminate()
    process.join(GRACE)
    process.kill()
    process.join()


def _run(command: Command, environment: dict[str, str], folder: Path) -> None:
    """Be the process of a command."""
    os.chdir(folder)
    os.environ.clear()  # what the server was started with
    os.environ.update(environment)
    file = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    multiprocessing.set_start_method(None, force=True)  # its workers are started as those of any training, not as this
    sys.argv = ["seqkit", *command.words]
    runpy.run_module("seqkit", run_name="__main__", alter_sys=True)

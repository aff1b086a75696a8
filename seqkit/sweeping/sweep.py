"""A sweep from its first job to its table."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from seqkit.config import Config
from seqkit.errors import SeqkitError, Stopped, one_line, shown
from seqkit.files import write_atomic
from seqkit.report.sweep import sweep_tables
from seqkit.report.terminal import terminal_summary
from seqkit.runs import provenance
from seqkit.runs.lock import is_held
from seqkit.runs.opening import start_over
from seqkit.runs.sweep import TRAIN, Job, Ledger, open_sweep
from seqkit.sweeping.job import Flags, Outcome
from seqkit.sweeping.runners import Runner, Task


class Sweep:
    """Runs the jobs of a sweep that the ledger does not know as finished; closed by ``with``.

    Args:
        words: What was typed after the command.
        flags: Of this start.
        as_json: Whether to print the reports as JSON, and nothing else to standard output.
        path: Folder of the sweep to go on with; None is said by the config.
        command: As of ``Ledger``; of another one than `seqkit train` nothing goes to standard output, and no table is
            made.
    """

    def __init__(
        self, words: list[str], flags: Flags, as_json: bool = False, path: Path | None = None, command: str = TRAIN
    ) -> None:
        self.words, self.flags, self.as_json, self.path, self.command = words, flags, as_json, path, command
        self.reports: dict[int, dict[str, Any]] = {}
        self._ledger: Ledger | None = None
        self._lock = ExitStack()

    @property
    def ledger(self) -> Ledger:
        """The ledger, once the sweep is open."""
        assert self._ledger
        return self._ledger

    @property
    def is_open(self) -> bool:
        """Whether there are jobs."""
        return self._ledger is not None

    def open(self, runs: str, id: str | None) -> None:
        """Open the ledger, if it is not yet; raises as ``open_sweep``."""
        if self._ledger is None:
            if self.path:
                runs, id = str(self.path.parent.parent), self.path.name
            self._ledger = self._lock.enter_context(open_sweep(runs, id, self.words, self.flags.fresh, self.command))
            if done := sum(job.state == "finished" for job in self.ledger.jobs.values()):
                _say(f"sweep {shown(self.ledger.path)} goes on: {done} of {len(self.ledger.jobs)} jobs are finished")

    def run(
        self, jobs: Sequence[tuple[int, list[str]]], compose: Callable[[int, list[str]], Config], runner: Runner
    ) -> list[Job]:
        """Run jobs, each a number and its overrides, as far as they are not finished, and return what the ledger says.

        Raises:
            SeqkitError: No job of the sweep could ever be composed.
        """
        ledger, tasks, refusals = self.ledger, [], []
        every = [ledger.job(number, overrides) for number, overrides in jobs]
        for job in every:
            if report := ledger.finished(job):
                self.reports[job.number] = report
                continue
            try:
                is_new = not job.run
                config = ledger.place(job, compose(job.number, job.overrides))
                if is_new and self.flags.fresh:
                    start_over(ledger.run_of(job))  # here, once: a cluster may start the job again
            except SeqkitError as refusal:
                refusals.append(refusal)
                job.state, job.refusal = "failed", one_line(refusal)
                continue
            ledger.components |= provenance.components(config)
            if is_held(ledger.run_of(job).lock_file):  # a job on a cluster outlives a sweep that was lost
                job.state, job.refusal = "running", "another process trains it"
                continue
            job.state, job.refusal = "waiting", ""
            tasks.append(Task(job.number, config, ledger.log_of(job)))
        if refusals and not any(job.run for job in ledger.jobs.values()):
            raise refusals[0]
        ledger.write()
        for job in every:
            if job.state in ("failed", "running"):
                self._say_end(job)

        def started(number: int, more: str) -> None:
            job = ledger.jobs[number]
            ledger.note(job, "running")
            _say(f"job {number} starts: {self._told(job)}{f' ({more})' * bool(more)}")

        flags = replace(self.flags, fresh=False)
        with closing(runner(tasks, flags, started)) as outcomes:  # which ends the jobs, should this loop fail
            for number, outcome in outcomes:
                self._note(ledger.jobs[number], outcome, runner.in_sight)
        return every

    def _note(self, job: Job, outcome: Outcome, in_sight: bool) -> None:
        """Note the end of a job, and show its report where the terminal has shown its training."""
        report = self.ledger.run_of(job).read_report() if outcome.state == "finished" else None
        self.ledger.note(job, outcome.state, outcome.refusal, report)
        if report:
            self.reports[job.number] = report
            if in_sight and not self.as_json and self.command == TRAIN:
                print(terminal_summary(report), flush=True)
        self._say_end(job)

    def close(self) -> int:
        """Write and print the table and what failed, and return the exit code."""
        if self.as_json:
            print(json.dumps(self._reports(), indent=2))
        tables = self._write_tables()
        if not self.as_json and tables:
            print(tables)
        missing = [job for job in self.ledger.jobs.values() if job.state != "finished"]
        for job in missing:
            self._say_end(job)
        if missing:
            _say(
                f"seqkit: {len(missing)} of {len(self.ledger.jobs)} jobs did not finish; "
                f"train these again with: {self.ledger.again}"
            )
        return 1 if missing else 0

    def __enter__(self) -> "Sweep":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            if self._ledger is None:
                return
            if not self.ledger.file.exists():
                shutil.rmtree(self.ledger.path, ignore_errors=True)
                with suppress(OSError):
                    self.ledger.path.parent.rmdir()
            elif error is not None:
                self._note_stop(error)

    def _note_stop(self, error: BaseException) -> None:
        running = [job for job in self.ledger.jobs.values() if job.state == "running"]
        for job in running:
            job.state = "stopped"
        with suppress(SeqkitError):
            self.ledger.write()
        self._write_tables()
        if isinstance(error, Stopped):
            error.again = self.ledger.again
        elif isinstance(error, KeyboardInterrupt):
            _say(f"seqkit: go on with: {self.ledger.again}")

    def _reports(self) -> list[dict[str, Any]]:
        """Return the reports of the finished jobs, each with its overrides."""
        jobs = self.ledger.jobs
        return [{**report, "overrides": jobs[number].overrides} for number, report in sorted(self.reports.items())]

    def _write_tables(self) -> str:
        """Write the tables as files, and return them for the terminal."""
        ledger = self.ledger
        if not self.reports or self.command != TRAIN:
            return ""
        tables = sweep_tables(self._reports())
        with suppress(OSError):
            write_atomic(ledger.table_md, "\n\n".join(table.markdown() for table in tables) + "\n")
            write_atomic(ledger.table_csv, tables[0].csv())
        return "\n\n".join(table.text(f"in {ledger.table_md.name}") for table in tables)

    def _say_end(self, job: Job) -> None:
        end = job.refusal
        if job.state == "finished" and job.monitor and job.score is not None:
            end = f"{job.monitor[0]} {job.score:.6g}"
        _say(f"job {job.number} {job.state}: {self._told(job)}{f': {end}' * bool(end)}")

    def _told(self, job: Job) -> str:
        """Return what makes a job different from the others, as typed."""
        typed = [word.lower() for word in self.words]  # Hydra makes True of true
        return " ".join(word for word in job.overrides if word.lower() not in typed) or "as typed"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

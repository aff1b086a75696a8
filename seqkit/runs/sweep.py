"""The ledger of a sweep, ``RUNS/sweeps/ID/sweep.json``: its jobs, their runs, states and scores."""

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import seqkit
from seqkit import slurm
from seqkit.config import Config
from seqkit.errors import ConfigError, nearest, one_line, shortened, shown
from seqkit.files import disk_reason, write_atomic
from seqkit.runs.folder import KEPT_ASIDE, RunFolder, new_id
from seqkit.runs.opening import put_aside

State = Literal["waiting", "running", "finished", "failed", "stopped"]
STATES = ("waiting", "running", "finished", "failed", "stopped")
FOLDER = "sweeps"
TRAIN = "train -m"


@dataclass
class Job:
    """A job of a sweep.

    Args:
        number: From 0.
        overrides: Of this job alone, the choice made of every sweep among them.
        run: Its run, as a path from the folder of all runs; empty before it was composed.
        state: A job found ``running`` by a later process was killed.
        score: Validation score of the best checkpoint; None where that is no number.
        monitor: Name of that score, and ``min`` or ``max``.
        refusal: Why it failed, in one line.
    """

    number: int
    overrides: list[str]
    run: str = ""
    state: State = "waiting"
    score: float | None = None
    monitor: list[str] | None = None
    refusal: str = ""


@dataclass
class Ledger:
    """What a sweep is made of and how far it is; every change is written at once, whole or not at all.

    Args:
        path: Folder of the sweep, ``RUNS/sweeps/ID``.
        words: What was typed after the command.
        started_in: Folder that paths in ``words`` are relative to.
        slurm_job: That started it, as ``slurm.job`` names it; empty outside SLURM.
        components: Provenance of the components of all jobs, by which ``--resume`` finds plugins.
        jobs: By number.
        command: Which was typed, as far as it goes on with what it has begun by ``--resume``.
    """

    path: Path
    words: list[str]
    started_in: str
    slurm_job: str = ""
    components: dict[str, dict[str, str]] = field(default_factory=dict)
    jobs: dict[int, Job] = field(default_factory=dict)
    command: str = TRAIN

    @property
    def id(self) -> str:
        """Name of the sweep, with which its runs' ids begin."""
        return self.path.name

    @property
    def runs(self) -> Path:
        """Folder of all runs."""
        return self.path.parent.parent

    @property
    def file(self) -> Path:
        """The ledger."""
        return self.path / "sweep.json"

    @property
    def table_md(self) -> Path:
        """Table over the finished jobs, for a person."""
        return self.path / "table.md"

    @property
    def table_csv(self) -> Path:
        """The same table for a program."""
        return self.path / "table.csv"

    def log_of(self, job: Job) -> Path:
        """File with what a job's process printed."""
        return self.path / f"job-{job.number}.log"

    def run_of(self, job: Job) -> RunFolder:
        """Return the run of a job."""
        return RunFolder(self.runs / job.run)

    @property
    def again(self) -> str:
        """Command that goes on with the sweep."""
        return f"seqkit {self.command} --resume {shown(self.path)}"

    @classmethod
    def read(cls, path: Path) -> "Ledger":
        """Read a ledger.

        Raises:
            ConfigError: It cannot be read, or is none.
        """
        file = path / "sweep.json"
        try:
            content = json.loads(file.read_text())
            jobs = [Job(**job) for job in content["jobs"]]
            if not all(isinstance(text, str) for job in jobs for text in (job.run, *job.overrides)):
                raise TypeError("a run or an override in it is no text")
            ledger = cls(path, list(content["words"]), str(content["folder"]), str(content.get("job", "")))
            ledger.components = dict(content["components"])
            ledger.command = str(content.get("command", TRAIN))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(f"{file} is not the ledger of a sweep: {one_line(error)}") from None
        ledger.jobs = {job.number: job for job in jobs}
        if any(job.state not in STATES or not _is_below(job.run) for job in jobs):
            raise ConfigError(f"{file} is not the ledger of a sweep: a job's state or run in it is none")
        return ledger

    def write(self) -> None:
        """Write ``sweep.json``.

        Raises:
            ConfigError: The disk refuses.
        """
        content = {
            "seqkit": seqkit.__version__,
            "command": self.command,
            "words": self.words,
            "folder": self.started_in,
            "job": self.slurm_job,
            "components": self.components,
            "jobs": [asdict(self.jobs[number]) for number in sorted(self.jobs)],
        }
        try:
            write_atomic(self.file, json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise ConfigError(f"{self.file}: cannot be written ({disk_reason(error)})") from None

    def job(self, number: int, overrides: list[str]) -> Job:
        """Return the job of a number, made if it is new.

        Raises:
            ConfigError: The ledger has it with other overrides.
        """
        job = self.jobs.setdefault(number, Job(number, overrides))
        if job.overrides != overrides:
            raise ConfigError(
                f"{self.file}: job {number} was {' '.join(job.overrides)}, now it would be {' '.join(overrides)}; "
                "train that as a new sweep"
            )
        return job

    def finished(self, job: Job) -> dict[str, Any] | None:
        """Return the report of a finished job; None where there is something to do."""
        return self.run_of(job).read_report() if job.state == "finished" else None

    def note(self, job: Job, state: State, refusal: str = "", report: dict[str, Any] | None = None) -> None:
        """Note the state of a job, and of a finished one the score of its report."""
        job.state, job.refusal = state, refusal
        if report:
            name, _ = job.monitor = report["monitor"]
            score = report["valid"].get(name)
            job.score = score if score is not None and math.isfinite(score) else None
        self.write()

    def place(self, job: Job, config: Config) -> Config:
        """Return the config of a job with the id of its run, among the runs of this sweep."""
        config = {**config, "id": f"{config['id'] or self.id}-{job.number}", "runs": str(self.runs)}
        job.run = os.path.join(config["name"], config["id"])
        return config


@contextmanager
def open_sweep(runs: str, id: str | None, words: list[str], fresh: bool, command: str = TRAIN) -> Iterator[Ledger]:
    """Lock the ledger of the sweep that ``words`` describe, a new one or one to go on with, and yield it.

    Args:
        runs: Folder of all runs.
        id: Of the sweep; None takes it from the scheduler's job, else from the time.
        words: What was typed after the command.
        fresh: Start over where the sweep exists already; it is kept aside with its runs.
        command: As of ``Ledger``.

    Raises:
        ConfigError: The folder cannot be written, or holds a sweep with other overrides.
        TrainingError: Another process holds it, or with ``fresh`` one of its runs.
    """
    parent = Path(runs).expanduser() / FOLDER
    if id and KEPT_ASIDE.search(id):
        raise ConfigError(f"id={id}: such names are of sweeps that --fresh has put aside; give another id")
    try:
        path = parent / (id or _free_id(parent))
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"runs={runs}: no folder can be made there ({disk_reason(error)})") from None
    with ExitStack() as locks:
        locks.enter_context(RunFolder(path).lock())
        ledger = Ledger(path, words, os.getcwd(), slurm.job(), command=command)
        if ledger.file.exists():
            saved = Ledger.read(path)
            if fresh and not slurm.is_requeued(saved.slurm_job):
                aside = _put_aside(saved)
                locks.pop_all().close()  # that of the folder put aside
                print(f"the sweep that was there is kept as {shown(aside)}", file=sys.stderr)
                path.mkdir(exist_ok=True)
                locks.enter_context(RunFolder(path).lock())
                yield ledger
                return
            if fresh:
                print(f"--fresh was done when this job first started; sweep {shown(path)} goes on", file=sys.stderr)
            if saved.command != command:
                raise ConfigError(f"sweep {shown(path)} exists, of another command ({saved.again}); give another id")
            if saved.words != words:
                raise ConfigError(
                    f"sweep {shown(path)} exists with other overrides ({_difference(saved.words, words)}); go on with "
                    f"it as it is by `{saved.again}`, start it over with --fresh, or give another id"
                )
            ledger = saved
        yield ledger


def _put_aside(ledger: Ledger) -> Path:
    """Put a sweep aside with its runs, which its ledger then names as they are called there; return its folder."""
    with ExitStack() as locks:
        runs = {job.number: run for job in ledger.jobs.values() if (run := ledger.run_of(job)).config_json.exists()}
        for run in runs.values():
            locks.enter_context(run.lock())
        for number, run in runs.items():
            ledger.jobs[number].run = os.path.relpath(put_aside(run), ledger.runs)
        ledger.write()
        return put_aside(RunFolder(ledger.path))


def find_sweep(name: str, runs: str = "runs") -> Path:
    """Return the folder of a sweep by its path or its id.

    Raises:
        ConfigError: There is none.
    """
    places = (Path(name).expanduser(), Path(runs) / FOLDER / name)
    for place in places:
        if (place / "sweep.json").is_file():
            return place.resolve()
    folder = places[1].parent
    known = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    hint = f"{nearest(name, known)}Known: {', '.join(known)}" if known else "Expected its id or its folder"
    raise ConfigError(f"no sweep '{shortened(name)}' here or in {folder}. {hint}")


def _free_id(parent: Path) -> str:
    name = new_id()
    if name.startswith("slurm-"):  # that of a requeued job is its own
        return name
    number = 1
    while (parent / (chosen := name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return chosen


def _is_below(path: str) -> bool:
    """Whether a path leads to a place in the folder that it starts from, and not out of it."""
    return not Path(path).is_absolute() and ".." not in Path(path).parts


def _difference(old: Iterable[str], new: Iterable[str]) -> str:
    gone, come = [word for word in old if word not in new], [word for word in new if word not in old]
    return ", ".join(filter(None, (f"without {' '.join(gone)}" * bool(gone), f"with {' '.join(come)}" * bool(come))))

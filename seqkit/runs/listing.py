"""The runs in a folder, from their small files alone: nothing is locked, changed, loaded or unpickled."""

import itertools
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from seqkit.config import content
from seqkit.errors import ConfigError, SeqkitError, nearest, one_line, shortened, shown
from seqkit.files import existing_folder
from seqkit.runs.folder import KEPT_ASIDE, RunFolder
from seqkit.runs.lock import is_held
from seqkit.runs.metrics_csv import last_step, read_metrics
from seqkit.runs.sweep import FOLDER as SWEEPS
from seqkit.runs.sweep import Ledger

State = Literal["running", "finished", "stopped", "failed", "not started", "unreadable"]
Scores = dict[str, float]


@dataclass(frozen=True)
class Listed:
    """A run as its files tell it.

    Attributes:
        run: Its folder.
        state: ``stopped`` has a checkpoint and nobody trains it, ``failed`` was started and has none.
        options: What it computes, by ``model`` for a component's name and ``model.hidden_size`` for its options.
        task: Name of the task; empty before the data were read.
        fingerprint: sha256 of the data; empty before they were read.
        monitor: Name of the score that decides and ``min`` or ``max``; None before the first step.
        score: Validation score by which it is ranked: that of its report, else the best so far.
        best_step: Optimizer steps at that score.
        steps: Finished optimizer steps.
        max_steps: Steps to train for; None where epochs say it.
        test: Scores of its report on the test split.
        baselines: Scores of the baselines on the test split.
        size: Of all files, in bytes.
        written: When a file was last written, in seconds since 1970.
        problem: What of it cannot be read, in one line.
    """

    run: RunFolder
    state: State
    options: dict[str, Any]
    task: str
    fingerprint: str
    monitor: tuple[str, str] | None
    score: float | None
    best_step: int | None
    steps: int | None
    max_steps: int | None
    test: Scores
    baselines: dict[str, Scores]
    size: int
    written: float
    problem: str = ""

    @cached_property
    def label(self) -> str:
        """NAME/ID, fit for one line."""
        return shortened("/".join(self.run.path.parts[-2:]), 200)

    def to_json(self) -> dict[str, Any]:
        """Return the run as plain JSON."""
        return {
            "run": str(self.run.path),
            "state": self.state,
            "task": self.task,
            "monitor": self.monitor,
            "score": finite(self.score),
            "best_step": self.best_step,
            "steps": self.steps,
            "max_steps": self.max_steps,
            "test": {name: finite(value) for name, value in self.test.items()},
            "bytes": self.size,
            "written": round(self.written) or None,
            "problem": self.problem,
        }


def runs_in(folder: Path, globs: list[str]) -> list[Path]:
    """Return the folders ``folder/NAME/ID``, foreign ones included, in the order of their names.

    Args:
        folder: Of all runs.
        globs: Of which NAME/ID, NAME, ID or the path matches at least one; none takes all.

    Raises:
        DataError: There is no such folder.
        ConfigError: Nothing in it matches a glob.
    """
    place = existing_folder(folder, "a folder of runs, as runs=DIR of train sets it (default: runs)")
    found = sorted(_folders(place), key=_by_name)
    for glob in globs:
        if not any(_matches(path, glob) for path in found):
            names = [name for path in found for name in (path.name, path.parent.name, _label(path))]
            raise ConfigError(f"no run in {shown(place)} matches '{shortened(glob)}'. {nearest(glob, names)}".rstrip())
    return [path for path in found if not globs or any(_matches(path, glob) for glob in globs)]


def read_named(what: str, folder: Path) -> list[Listed]:
    """Return the runs that a user means.

    Args:
        what: A run's folder, a folder of runs, a sweep's folder or ID, or what ``runs_in`` matches in ``folder``; of
            several runs, those that ``--fresh`` has put aside are left out.
        folder: Of all runs.

    Raises:
        SeqkitError: There is none.
    """
    place = Path(what).expanduser()
    for sweep in (place, folder / SWEEPS / what):
        if _is_sweep(sweep):
            return _jobs(sweep)
    if RunFolder(place).config_json.is_file():
        return [read_run(place)]
    found = sorted(_folders(place), key=_by_name) if place.is_dir() else runs_in(folder, [what])
    if len(found) > 1:
        found = [path for path in found if not KEPT_ASIDE.search(path.name)]
    if not found:
        raise ConfigError(f"{shown(place)}: there is no run in it. Expected a folder runs/NAME/ID, or a folder of such")
    return [read_run(path) for path in found]


def _jobs(sweep: Path) -> list[Listed]:
    """Return the runs of a sweep's jobs; that of a job that failed, or has none yet, says so as its problem."""
    ledger = Ledger.read(sweep.resolve())
    found = []
    for job in ledger.jobs.values():
        said = f"job {job.number} ({shortened(' '.join(job.overrides), 200)})"
        path = shown(ledger.run_of(job).path if job.run else ledger.path / f"job-{job.number}")
        run = read_run(path) if path.is_dir() else _unreadable(path, f"{said} has no run")
        failed = job.state == "failed"
        found.append(replace(run, problem=f"{said} failed: {shortened(job.refusal, 1000)}") if failed else run)
    return found


def read_run(path: Path) -> Listed:
    """Return what the files of a run tell; a damaged or foreign folder is ``unreadable`` and has a ``problem``."""
    run = RunFolder(path)
    size, written = _size(path)
    try:
        record = run.read_record()
        options = flat(content(record["config"]))
    except (SeqkitError, OSError) as error:
        return _unreadable(run.path, one_line(error), size, written)
    report = run.read_report() if run.report_json.is_file() else None
    if report is not None and report.get("config_hash") != record["hash"]:
        report = None  # of a shorter training, which goes on
    scored = _dict(record.get("scored"))
    monitor = _monitor((report or {}).get("monitor")) or _monitor(scored.get("monitor"))
    score, best_step, steps, problem = None, None, None, ""
    try:
        if report is not None and monitor and monitor[0] in _scores(report.get("valid")):
            score, best_step = _scores(report["valid"])[monitor[0]], _count(report.get("best_step"))
            steps = last_step(run.metrics_csv) if run.metrics_csv.is_file() else None
        elif run.metrics_csv.is_file():
            rows = read_metrics(run.metrics_csv)
            steps = rows[-1][0] if rows else None
            score, best_step = _best(rows, monitor)
    except (SeqkitError, OSError) as error:
        problem = one_line(error)
    trainer = _dict(record["config"].get("trainer"))
    tasks = [key.partition("=")[2] for key in _dict(record.get("components")) if str(key).startswith("task=")]
    data = _dict((report or {}).get("data"))
    return Listed(
        run=run,
        state=_state(run, report is not None),
        options=options,
        task=shortened(tasks[0]) if tasks else "",
        fingerprint=str(data.get("sha256") or scored.get("data") or ""),
        monitor=monitor,
        score=score,
        best_step=best_step,
        steps=steps,
        max_steps=_count(trainer.get("max_steps")),
        test=_scores((report or {}).get("test")),
        baselines={str(name): _scores(own) for name, own in _dict((report or {}).get("baselines")).items()},
        size=size,
        written=written,
        problem=problem,
    )


def _unreadable(path: Path, problem: str, size: int = 0, written: float = 0.0) -> Listed:
    return Listed(
        RunFolder(path), "unreadable", {}, "", "", None, None, None, None, None, {}, {}, size, written, problem
    )


def flat(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config by dotted names, a component's name under its kind: ``model`` and ``model.hidden_size``."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            for option, inner in value.items():
                found[key if option == "name" else f"{key}.{option}"] = inner
        else:
            found[key] = value
    return found


def finite(value: float | None) -> float | None:
    """Return a score for JSON, which has no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _folders(place: Path) -> Iterator[Path]:
    """Yield the folders that are runs or stand where one would; what a sweep keeps for itself is none."""
    for name in _subfolders(place):
        if os.path.isfile(RunFolder(name).config_json):
            yield name
            continue
        try:
            yield from (path for path in _subfolders(name) if not _is_sweep(path))
        except OSError:  # its run's problem
            yield name


def _subfolders(place: Path) -> list[Path]:
    return [place / name for name in os.listdir(place) if not name.startswith(".") and os.path.isdir(place / name)]


def _is_sweep(path: Path) -> bool:
    return os.path.isfile(path / "sweep.json")


def _label(path: Path) -> str:
    return "/".join(path.parts[-2:])


def _matches(path: Path, glob: str) -> bool:
    texts = (_label(path), path.name, path.parent.name, str(path))
    return any(fnmatchcase(text, glob.rstrip("/")) for text in texts)


def _by_name(path: Path) -> list[tuple[str, int]]:
    """Return a key that sorts a-2 before a-10."""
    parts = re.split(r"(\d+)", _label(path))
    return [(text, int(number or 0)) for text, number in itertools.zip_longest(parts[::2], parts[1::2])]


def _state(run: RunFolder, reported: bool) -> State:
    if is_held(run.lock_file):
        return "running"
    if reported:
        return "finished"
    if any(run.checkpoints.glob("*.ckpt")):
        return "stopped"
    return "failed" if run.train_log.exists() else "not started"


def _size(path: Path) -> tuple[int, float]:
    """Return the bytes of all files in a folder, and when one was last written, in seconds since 1970."""
    size, written = 0, 0.0
    todo = [str(path)]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    elif entry.name != ".lock":  # whose time says that it is held, not that there is anything new
                        about = entry.stat(follow_symlinks=False)
                        size, written = size + about.st_size, max(written, about.st_mtime)
        except OSError:
            continue  # removed meanwhile, or not to be read
    return size, written


def _best(rows: list[tuple[int, str, float]], monitor: tuple[str, str] | None) -> tuple[float | None, int | None]:
    """Return the best validation score and the first step that had it."""
    if monitor is None:
        return None, None
    values = [(value, step) for step, name, value in rows if name == f"valid/{monitor[0]}" and not math.isnan(value)]
    if not values:
        return None, None
    sign = 1 if monitor[1] == "min" else -1
    return min(values, key=lambda pair: (sign * pair[0], pair[1]))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _scores(value: Any) -> Scores:
    numbers = ((name, number) for name, number in _dict(value).items() if type(number) in (int, float))
    return {shortened(name): float(number) for name, number in numbers if not math.isnan(number)}


def _monitor(value: Any) -> tuple[str, str] | None:
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and value[1] in ("min", "max"):
        return shortened(value[0]), value[1]
    return None


def _count(value: Any) -> int | None:
    return value if type(value) is int else None

"""The folder of a run, ``runs/NAME/ID``: every file in it, its identity, its config, its lock."""

import fcntl
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import seqkit
from seqkit.config import Config, config_hash, content
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, SeqkitError, TrainingError, nearest
from seqkit.files import TEMPORARY, disk_reason, write_atomic
from seqkit.runs import provenance


@dataclass(frozen=True)
class RunFolder:
    """The one place that names the files of a run.

    Args:
        path: Folder of the run.
    """

    path: Path

    @property
    def config_json(self) -> Path:
        """Resolved config, its hash, provenance of its components."""
        return self.path / "config.json"

    @property
    def metrics_csv(self) -> Path:
        """Metrics of training and validation over the steps."""
        return self.path / "metrics.csv"

    @property
    def train_log(self) -> Path:
        """Log of every start of the run."""
        return self.path / "train.log"

    def log_of(self, rank: int) -> Path:
        """Log of a rank: ``train.log`` of rank 0, ``ranks/rank-N.log`` of another."""
        return self.path / "ranks" / f"rank-{rank}.log" if rank else self.train_log

    @property
    def report_json(self) -> Path:
        """Report of a finished run."""
        return self.path / "report.json"

    @property
    def report_md(self) -> Path:
        """The same report for a person."""
        return self.path / "report.md"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Checkpoint of the best validation."""
        return self.checkpoints / "best.ckpt"

    @property
    def last(self) -> Path:
        """Checkpoint to go on from."""
        return self.checkpoints / "last.ckpt"

    @property
    def exports(self) -> Path:
        """Folder of exported networks."""
        return self.path / "export"

    @property
    def lock_file(self) -> Path:
        """Locked by the process that trains the run."""
        return self.path / ".lock"

    @property
    def started(self) -> bool:
        """Whether there is, or was, a checkpoint."""
        return self.checkpoints.exists()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the run, so that no two processes train it, and remove what a kill left half-written.

        Raises:
            ConfigError: The folder cannot be written.
            TrainingError: Another process holds the lock.
        """
        try:
            _refuse_link(self.lock_file)
            _refuse_link(self.train_log)
            file = self.lock_file.open("w")
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({disk_reason(error)})") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TrainingError(f"run {self.path} is being trained by another process") from None
            for left in self.path.rglob(TEMPORARY):
                if not left.is_dir():
                    left.unlink(missing_ok=True)
            yield

    def write_config(self, config: Config, spec: DataSpec | None = None) -> None:
        """Write ``config.json``; with the spec of the data, the provenance of what it chooses is in it too."""
        content = {
            "seqkit": seqkit.__version__,
            "hash": config_hash(config),
            "folder": os.getcwd(),
            "components": provenance.components(config, spec),
            "config": config,
        }
        write_atomic(self.config_json, json.dumps(content, indent=2) + "\n")

    def read_config(self) -> tuple[Config, Path]:
        """Return a run's checked config, and the folder that it was started in, to which its paths are relative.

        Raises:
            ConfigError: The folder is no run, its config cannot be read, or was changed after the start of the run.
        """
        path = self.config_json
        if not path.is_file():
            hint, parent = "", self.path.parent
            if not self.path.is_dir() and parent.is_dir():
                hint = nearest(self.path.name, [entry.name for entry in parent.iterdir() if entry.is_dir()])
            raise ConfigError(
                f"{self.path} is not a run: there is no {path.name} in it. {hint}Expected a folder runs/NAME/ID"
            )
        try:
            content = json.loads(path.read_text())
            saved, started_in, digest = dict(content["config"]), Path(content["folder"]), content["hash"]
        except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
            raise ConfigError(f"{path} is not a config of seqkit: {' '.join(str(error).split())}") from None
        if config_hash(saved) != digest:
            raise ConfigError(
                f"{path} was edited after the start of the run (its hash differs); "
                "put it back, or train what it says now as a new run"
            )
        return provenance.checked(saved, content.get("components"), str(path)), started_in

    def read_report(self) -> dict[str, Any] | None:
        """Return the report of a finished run, its path as of now; None where there is none that can be read."""
        try:
            report = json.loads(self.report_json.read_text())
        except (OSError, ValueError):
            return None
        return {**report, "run": str(self.path)} if isinstance(report, dict) else None


@contextmanager
def open_run(config: Config, fresh: bool) -> Iterator[tuple[Config, RunFolder]]:
    """Lock the folder for ``config``, write its ``config.json``, and yield the config, id included, and the folder.

    A run without an id gets a new one. The folder of an id that is there already is continued if it holds checkpoints
    of the same config, and emptied first if ``fresh``. A new folder goes again if its run is refused,
    unless its log holds the traceback of the refusal.

    Raises:
        ConfigError: The folder cannot be written, or holds a run with another config.
        TrainingError: Another process holds it.
    """
    parent = Path(config["runs"]).expanduser() / config["name"]
    try:
        path = parent / config["id"] if config["id"] else _new_folder(parent)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"runs={config['runs']}: no folder can be made there ({disk_reason(error)})") from None
    run, config = RunFolder(path), {**config, "id": path.name}
    if _holds_other_things(run):
        raise ConfigError(
            f"{path} is there already and is no run: there is no {run.config_json.name} in it; give another id"
        )
    with run.lock():
        if fresh:
            _clear(run)
        started = run.started
        try:
            if started:
                saved, _ = run.read_config()
                if config_hash(saved) != config_hash(config):
                    raise ConfigError(
                        f"run {path} exists with another config ({config_difference(saved, config)}); go on with it "
                        f"as it is by `seqkit resume {path}`, start it over with --fresh, or give another id"
                    )
            else:
                try:
                    run.write_config(config)
                except OSError as error:
                    raise ConfigError(f"{run.config_json}: cannot be written ({disk_reason(error)})") from None
            yield config, run
        except SeqkitError as refusal:
            explained = refusal.__cause__ is not None  # its traceback is in train.log
            if not started and not run.started and not explained:
                with suppress(OSError):
                    shutil.rmtree(path)
                    parent.rmdir()
            raise


def new_id() -> str:
    """Return an id from the scheduler's job, so that a requeued job finds its own run, or from the time."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    if job:
        task = os.environ.get("SLURM_ARRAY_TASK_ID")
        return f"slurm-{job}-{task}" if task else f"slurm-{job}"
    return datetime.now().strftime("%Y%m%d-%H%M%S")


def _new_folder(parent: Path) -> Path:
    """Make a folder with a new id; that of a scheduler's job may be there already: its own run."""
    name = new_id()
    if name.startswith("slurm-"):
        return parent / name
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError


def _refuse_link(file: Path) -> None:
    """Refuse a file that is a link: written through it, a run from elsewhere could change any file of its user's."""
    if file.is_symlink():
        raise ConfigError(f"{file} is a link; put a file in its place, or delete it")


def _holds_other_things(run: RunFolder) -> bool:
    """Whether the folder is not empty and is not that of a run, so that nothing in it may be touched."""
    return not run.config_json.is_file() and any(
        entry != run.lock_file and not entry.match(TEMPORARY) for entry in run.path.iterdir()
    )


def _clear(run: RunFolder) -> None:
    """Empty the folder of a run."""
    for entry in run.path.iterdir():
        if entry != run.lock_file:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def config_difference(old: Config, new: Config) -> str:
    """Return the first option that the contents of two configs differ in, with both values."""
    return _difference(content(old), content(new), "")


def _difference(old: Any, new: Any, where: str) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key):
                return _difference(old.get(key), new.get(key), f"{where}.{key}" if where else key)
    return f"{where} was {json.dumps(old)}, now {json.dumps(new)}"

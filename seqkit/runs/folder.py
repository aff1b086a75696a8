"""The folder of a run, ``runs/NAME/ID``: every file in it, its identity, its config, its lock."""

import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import seqkit
from seqkit import slurm
from seqkit.config import Config, config_hash, content
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, nearest, shown
from seqkit.files import TEMPORARY, disk_reason, older, write_atomic
from seqkit.runs import provenance
from seqkit.runs.lock import lock

KEPT_ASIDE = re.compile(r"\.old-\d+$")
"""End of the name of a run that ``--fresh`` has put aside."""


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
    def before_last(self) -> list[Path]:
        """The checkpoints before that which are kept, from the newest: ``last-1.ckpt``, ``last-2.ckpt``."""
        return older(self.last)

    @property
    def exports(self) -> Path:
        """Folder of exported networks."""
        return self.path / "export"

    @property
    def lock_file(self) -> Path:
        """Lock of the process that trains the run."""
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
        with ExitStack() as held:
            try:
                _refuse_link(self.lock_file)
                _refuse_link(self.train_log)
                held.enter_context(lock(self.lock_file))
                for left in self.path.rglob(TEMPORARY):
                    if not left.is_dir():
                        left.unlink(missing_ok=True)
            except OSError as error:
                raise ConfigError(f"{self.path}: cannot be written ({disk_reason(error)})") from None
            yield

    def write_config(self, config: Config, spec: DataSpec | None = None) -> None:
        """Write ``config.json``; with the spec of the data, the provenance of what it chooses is in it too."""
        content = {
            "seqkit": seqkit.__version__,
            "hash": config_hash(config),
            "folder": os.getcwd(),
            "job": slurm.job(),
            "components": provenance.components(config, spec),
            "config": config,
        }
        write_atomic(self.config_json, json.dumps(content, indent=2) + "\n")

    def write_scored(self, monitor: tuple[str, str], fingerprint: str) -> None:
        """Note in ``config.json`` what ranks the run: the monitored metric, its direction, the data.

        They are known only when the network is built, and readers of the run do not build it. A training that is no
        run, as a check's, has no ``config.json``.
        """
        if not self.config_json.exists():
            return
        content = json.loads(self.config_json.read_text())
        scored = {"monitor": list(monitor), "data": fingerprint}
        if content.get("scored") != scored:
            write_atomic(self.config_json, json.dumps({**content, "scored": scored}, indent=2) + "\n")

    def change_config(self, config: Config, step: int) -> None:
        """Write ``config.json`` with another config of the same components; what else it says of the start stays.

        Args:
            config: Of now on.
            step: Optimizer steps done; what then changes of what is computed is added to the history.
        """
        record = json.loads(self.config_json.read_text())
        changes = dict(config_differences(record["config"], config))
        if changes:
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            record["history"] = [*record.get("history", []), {"step": step, "time": now, "changes": changes}]
        record |= {"hash": config_hash(config), "config": config}
        write_atomic(self.config_json, json.dumps(record, indent=2) + "\n")

    @property
    def history(self) -> list[dict[str, Any]]:
        """Changes of the config since the start: ``step``, ``time``, and ``changes``, of options to [before, after]."""
        try:
            return json.loads(self.config_json.read_text()).get("history", [])
        except FileNotFoundError:  # a training that is no run, as a check's
            return []

    def read_config(self) -> tuple[Config, Path]:
        """Return a run's checked config, and the folder that it was started in, to which its paths are relative.

        Raises:
            ConfigError: The folder is no run, its config cannot be read, or was changed after the start of the run.
        """
        record = self.read_record()
        return provenance.checked(record["config"], record.get("components"), str(self.config_json)), record["folder"]

    def read_record(self) -> dict[str, Any]:
        """Return ``config.json``, its config as it was saved; raises as ``read_config``, and loads no plugin."""
        path = self.config_json
        if not path.is_file():
            parent, meant = self.path.parent, _run_meant(self.path)
            hint = f"Did you mean '{meant}'? " if meant else ""
            if not hint and not self.path.is_dir() and parent.is_dir():
                hint = nearest(self.path.name, [entry.name for entry in parent.iterdir() if entry.is_dir()])
            raise ConfigError(
                f"{self.path} is not a run: there is no {path.name} in it. {hint}Expected a folder runs/NAME/ID"
            )
        try:
            content = json.loads(path.read_text())
            content |= {"config": dict(content["config"]), "folder": Path(content["folder"])}
            digest = content["hash"]
        except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
            raise ConfigError(f"{path} is not a config of seqkit: {' '.join(str(error).split())}") from None
        if config_hash(content["config"]) != digest:
            raise ConfigError(
                f"{path} was edited after the start of the run (its hash differs); "
                "put it back, or train what it says now as a new run"
            )
        return content

    def read_report(self) -> dict[str, Any] | None:
        """Return the report of a finished run, its path as of now; None where there is none that can be read."""
        try:
            report = json.loads(self.report_json.read_text())
        except (OSError, ValueError):
            return None
        return {**report, "run": str(self.path)} if isinstance(report, dict) else None


def _run_meant(path: Path) -> Path | None:
    """Return the run that a folder which is none may stand for: the newest in it, or one below runs/ of that name."""
    for folder in (shown(path), "runs" / shown(path)):
        configs = [folder / "config.json", *folder.glob("*/config.json"), *folder.glob("*/*/config.json")]
        if found := [config for config in configs if config.is_file()]:
            return max(found, key=lambda config: config.stat().st_mtime).parent
    return None


def new_id() -> str:
    """Return an id from the scheduler's job, so that a requeued job finds its own run, or from time and chance."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    if job:
        task = os.environ.get("SLURM_ARRAY_TASK_ID")
        return f"slurm-{job}-{task}" if task else f"slurm-{job}"
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def _refuse_link(file: Path) -> None:
    """Refuse a file that is a link: written through it, a run from elsewhere could change any file of its user's."""
    if file.is_symlink():
        raise ConfigError(f"{file} is a link; put a file in its place, or delete it")


def config_difference(old: Config, new: Config) -> str:
    """Return the first option that the contents of two configs differ in, with both values."""
    key, (before, after) = next(config_differences(old, new), ("nothing", [None, None]))
    return f"{key} was {json.dumps(before)}, now {json.dumps(after)}"


def config_differences(old: Config, new: Config) -> Iterator[tuple[str, list[Any]]]:
    """Yield the options that the contents of two configs differ in, each with both values."""
    yield from _differences(content(old), content(new), "")


def _differences(old: Any, new: Any, where: str) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key):
                yield from _differences(old.get(key), new.get(key), f"{where}.{key}" if where else key)
    else:
        yield where, [old, new]

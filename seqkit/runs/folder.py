"""The folder of a run, ``runs/NAME/ID``: its identity, its config, who holds it."""

import fcntl
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import seqkit
from seqkit.config import IDENTITY, Config, check, config_hash
from seqkit.files import write_atomic
from seqkit.errors import ConfigError, SeqkitError, TrainingError, nearest

CONFIG = "config.json"


def new_id() -> str:
    """Return an id from the scheduler's job, so that a requeued job finds its own run, or from the time."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    if job:
        task = os.environ.get("SLURM_ARRAY_TASK_ID")
        return f"slurm-{job}-{task}" if task else f"slurm-{job}"
    return datetime.now().strftime("%Y%m%d-%H%M%S")


@contextmanager
def claimed(config: Config, fresh: bool) -> Iterator[tuple[Config, Path]]:
    """Hold the folder for ``config``, with its ``config.json`` written; then yield the config, id included, and it.

    A run without an id gets a new one. The folder of an id that is there already is continued if it holds checkpoints
    of the same config, and emptied first if ``fresh``. A new folder goes again if its run is refused.

    Raises:
        ConfigError: The folder cannot be written, or holds a run with another config.
        TrainingError: Another process holds it.
    """
    parent = Path(config["runs"]).expanduser() / config["name"]
    try:
        folder = parent / config["id"] if config["id"] else _new_folder(parent)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"runs={config['runs']}: no folder can be made there ({error.strerror})") from None
    config = {**config, "id": folder.name}
    with held(folder):
        if fresh:
            _clear(folder)
        started = (folder / "checkpoints").exists()
        if started:
            saved, _ = read_config(folder)
            if config_hash(saved) != config_hash(config):
                raise ConfigError(
                    f"run {folder} exists with another config ({_difference(saved, config)}); go on with it as "
                    f"it is by `seqkit resume {folder}`, start it over with --fresh, or give another id"
                )
        else:
            facts = {"seqkit": seqkit.__version__, "hash": config_hash(config), "folder": os.getcwd(), "config": config}
            write_atomic(folder / CONFIG, json.dumps(facts, indent=2) + "\n")
        try:
            yield config, folder
        except SeqkitError:
            if not started and not (folder / "checkpoints").exists():
                shutil.rmtree(folder)
                with suppress(OSError):
                    parent.rmdir()
            raise


def read_config(folder: Path) -> tuple[Config, Path]:
    """Return a run's checked config, and the folder that it was started in, to which its paths are relative.

    Raises:
        ConfigError: ``folder`` is no run, or its config cannot be read.
    """
    path = folder / CONFIG
    if not path.is_file():
        hint = ""
        if not folder.is_dir() and folder.parent.is_dir():
            hint = nearest(folder.name, [entry.name for entry in folder.parent.iterdir() if entry.is_dir()])
        raise ConfigError(f"{folder} is not a run: there is no {CONFIG} in it. {hint}Expected a folder runs/NAME/ID")
    try:
        facts = json.loads(path.read_text())
        saved, started_in = dict(facts["config"]), Path(facts["folder"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a config of seqkit: {error}") from None
    return check(saved), started_in


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder, so that no two processes train the same run, and clear away what a kill left half-written.

    Raises:
        TrainingError: Another process holds it.
    """
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(f"run {folder} is being trained by another process") from None
        for left in folder.rglob(".*.tmp"):
            left.unlink()
        yield


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


def _clear(folder: Path) -> None:
    """Empty the folder of a run; refuses one that is none."""
    mine = [entry for entry in folder.iterdir() if entry.name != ".lock"]
    if mine and not (folder / CONFIG).is_file():
        raise ConfigError(f"{folder} is not a run: there is no {CONFIG} in it, so --fresh does not clear it")
    for entry in mine:
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _difference(old: Any, new: Any, where: str = "") -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key) and (where or key not in IDENTITY):
                return _difference(old.get(key), new.get(key), f"{where}.{key}" if where else key)
    return f"{where} was {json.dumps(old)}, now {json.dumps(new)}"

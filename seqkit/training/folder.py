"""The folder of a run, ``runs/NAME/ID``: its identity, its config, who holds it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import seqkit
from seqkit.compose import Config, check, config_hash
from seqkit.data.files import write_atomic
from seqkit.errors import ConfigError, TrainingError, nearest

CONFIG = "config.json"


def new_id() -> str:
    """Return an id from the scheduler's job, so that a requeued job finds its own run, or from the time."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    if job:
        task = os.environ.get("SLURM_ARRAY_TASK_ID")
        return f"slurm-{job}-{task}" if task else f"slurm-{job}"
    return datetime.now().strftime("%Y%m%d-%H%M%S")


def claim(config: Config, fresh: bool) -> Path:
    """Return the folder for ``config``, with its ``config.json`` written.

    A run without an id gets a new one. The folder of an id that is there already is continued if it holds checkpoints
    of the same config, and emptied first if ``fresh``.

    Raises:
        ConfigError: The folder holds a run with another config; the message names the first difference.
    """
    parent = Path(config["runs"]).expanduser() / config["name"]
    if config["id"] is None:
        config = {**config, "id": _unused(parent, new_id())}
    folder = parent / config["id"]
    if (folder / "checkpoints").exists() and not fresh:
        saved, _ = read_config(folder)
        if config_hash(saved) != config_hash(config):
            raise ConfigError(
                f"run {folder} exists with another config ({_difference(saved, config)}); continue it with "
                f"`seqkit resume {folder}`, start it over with --fresh, or give another id"
            )
        return folder
    if fresh and folder.exists():
        _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"seqkit": seqkit.__version__, "hash": config_hash(config), "folder": os.getcwd(), "config": config}
    write_atomic(folder / CONFIG, json.dumps(facts, indent=2) + "\n")
    return folder


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
        saved, started_in = facts["config"], Path(facts["folder"])
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a config of seqkit: {error}") from None
    return check(saved), started_in


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder, so that no two processes train the same run.

    Raises:
        TrainingError: Another process holds it.
    """
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(f"run {folder} is being trained by another process") from None
        yield


def _unused(parent: Path, name: str) -> str:
    """Return ``name``, with a number behind it if that folder is taken (but for a scheduler's job: its own run)."""
    if name.startswith("slurm-") or not (parent / name).exists():
        return name
    number = 2
    while (parent / f"{name}-{number}").exists():
        number += 1
    return f"{name}-{number}"


def _difference(old: Any, new: Any, where: str = "") -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key) and (where or key not in ("name", "id", "runs")):
                return _difference(old.get(key), new.get(key), f"{where}.{key}" if where else key)
    return f"{where} was {json.dumps(old)}, now {json.dumps(new)}"


def _clear(folder: Path) -> None:
    import shutil

    with held(folder):
        shutil.rmtree(folder)

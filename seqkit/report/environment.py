"""The environment that seqkit runs in, and what in it is broken: for ``seqkit doctor``."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from packaging.requirements import Requirement

import seqkit
from seqkit import plugins
from seqkit.files import cache_folder
from seqkit.models.backends.fused.compiling import compiler
from seqkit.models.backends.fused.functions import choose_loops
from seqkit.models.backends.timings import processor
from seqkit.plugins import memory
from seqkit.training.loggers import offline_reason

KNOWN_BAD = {
    ("lightning", "2.6.2"): "a malicious upload",
    ("lightning", "2.6.3"): "a malicious upload",
}
"""Distribution and version -> what is wrong with it."""

SCHEDULER = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_PARTITION", "SLURM_NNODES",
             "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_CPUS_PER_TASK")  # fmt: skip


def environment() -> dict[str, Any]:
    """Return the facts as plain JSON; ``problems`` in it are what is broken, in words."""
    found = plugins.found()
    return {
        "seqkit": seqkit.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "versions": {wanted.name: _version(wanted.name) for wanted in _requirements()},
        "devices": _devices(),
        "threads": {
            "torch": torch.get_num_threads(),
            "processors": os.cpu_count(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        },
        "instruction set": torch.backends.cpu.get_cpu_capability(),
        "compiler": shutil.which(compiler()[0]),
        "fused loops": choose_loops(torch.device("cpu"), torch.float32)[1],
        "plugins": [_plugin(plugin) for plugin in found],
        "wandb": f"offline: {offline_reason()}" if offline_reason() else "online",
        "scheduler": {name: os.environ[name] for name in SCHEDULER if name in os.environ},
        "folders": {"cache": _folder(cache_folder()), "user data": _folder(memory.home())},
        "problems": [*_version_problems(), *(f"plugin {one.name}: {one.fault}" for one in found if one.fault)],
    }


def _requirements() -> list[Requirement]:
    """Return seqkit's own requirements, then those of its extras but for development, each name once."""
    found: dict[str, Requirement] = {}
    wanted = [Requirement(text) for text in metadata.requires("seqkit") or ()]
    for extra in ("", "onnx", "tensorboard"):
        for one in wanted:
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                found.setdefault(one.name, one)
    return list(found.values())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _version_problems() -> list[str]:
    found = []
    for wanted in _requirements():
        version = _version(wanted.name)
        if version is None:
            if wanted.marker is None:
                found.append(f"{wanted.name} is not installed; seqkit needs {wanted}")
        elif (wanted.name, version) in KNOWN_BAD:
            found.append(f"{wanted.name} {version} is {KNOWN_BAD[wanted.name, version]}; install another")
        elif not wanted.specifier.contains(version, prereleases=True):
            found.append(f"{wanted.name} {version} does not fit; seqkit needs {wanted}")
    return found


def _devices() -> list[str]:
    found = [f"CPU: {processor()}"]
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        found.append(f"GPU {number}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    return found


def _plugin(plugin: plugins.Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "provider": plugin.provider,
        "file": plugin.file,
        "seconds": round(plugin.seconds, 3),
        "components": list(plugin.components),
        "presets": list(plugin.presets),
        "fault": plugin.fault,
    }


def _folder(place: Path) -> str:
    """Return a folder as a string, with what is the matter with it."""
    nearest = next(parent for parent in (place, *place.parents) if parent.exists())
    if not os.access(nearest, os.W_OK):
        return f"{place} (cannot be written)"
    return str(place) if place.exists() else f"{place} (not there yet)"

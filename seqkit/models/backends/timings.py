"""Measured times of backends, kept between processes: one small file per machine and version of torch and seqkit."""

import json
import logging
import os
import platform
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

import seqkit
from seqkit.files import cache_folder, write_atomic
from seqkit.models.backends.fused.compiling import source_of

LOG = logging.getLogger("seqkit")


class Timings:
    """The fastest candidate, and the seconds of each, by what was computed: as a file has them and as they are added.

    A file that is damaged or cannot be written costs nothing but measuring again.

    Args:
        path: The file; None for that of this machine.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_folder() / f"timings-{_key()}.json"

    def get(self, work: str) -> tuple[str, dict[str, float]] | None:
        """Return the fastest candidate for ``work`` and the seconds of each, None where it was not measured."""
        found = self._read().get(work)
        if not isinstance(found, dict) or not are_seconds(found.get("seconds"), found.get("fastest")):
            return None
        return found["fastest"], found["seconds"]

    def add(self, work: str, fastest: str, seconds: dict[str, float]) -> None:
        """Keep what was measured for ``work``, beside what other processes have written meanwhile."""
        content = {**self._read(), work: {"fastest": fastest, "seconds": seconds}}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path, json.dumps(content, indent=1) + "\n")
        except OSError as error:
            LOG.debug("%s cannot be written (%s): the next process measures again", self.path, error.strerror)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def are_seconds(value: Any, fastest: Any) -> bool:
    """Whether a value from a file is a table of the times of candidates, the fastest and another among them."""
    return (
        isinstance(value, dict)
        and isinstance(fastest, str)
        and fastest in value
        and len(value) > 1
        and all(isinstance(name, str) for name in value)
        and all(isinstance(time, float) and 0 <= time < float("inf") for time in value.values())
    )


def processor() -> str:
    """Return the name of the machine's processor."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _key() -> str:
    """Return a name for this machine and the code that was measured."""
    machine = processor(), torch.backends.cpu.get_cpu_capability(), str(torch.__version__)
    code = seqkit.__version__, source_of(), os.environ.get("SEQKIT_COMPILED", "")
    return sha256(repr((machine, code)).encode()).hexdigest()[:16]

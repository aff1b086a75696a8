"""The shared library of the loops in C: the wheel's for this processor, else one compiled on first use and kept."""

import ctypes
import hashlib
import itertools
import logging
import os
import platform
import re
import tempfile
import time
from functools import cache
from pathlib import Path

import torch

from seqkit.files import cache_folder
from seqkit.models.backends.fused.compiling import (
    FLAGS,
    LEVELS,
    NATIVE,
    SOURCE,
    UnavailableError,
    compile_loops,
    file_name,
    source_of,
    wheel_targets,
)

LOG = logging.getLogger("seqkit")
PATIENCE = 120  # seconds for the compiler, on first use
IN_THE_WHEEL = SOURCE.parent
"""The folder of the libraries that came with the wheel; a checkout has none."""


@cache
def load(dtype: torch.dtype) -> ctypes.CDLL:
    """Return the library for a dtype.

    Raises:
        UnavailableError: It cannot be compiled, or SEQKIT_COMPILED asks for what this processor does not run.
        LookupError: torch's OpenMP is not GNU's.
        OSError: It cannot be loaded.
    """
    ctypes.CDLL(_openmp(), mode=ctypes.RTLD_GLOBAL)  # defines the symbols that the library leaves to torch
    loaded = ctypes.CDLL(str(path(dtype)))
    fingerprint(dtype)  # taken now: the cache may be deleted later
    return loaded


def description() -> str:
    """Return where the library comes from and which processors it is for, in words."""
    here = "" if _shipped(target(), torch.float32) is None else ", in the wheel"
    return f"compiled from C{here}, for {'this processor' if target() == NATIVE else target()}"


@cache
def fingerprint(dtype: torch.dtype) -> str:
    """Return a hash of the library: equal ones give equal bits on one processor."""
    return hashlib.sha256(path(dtype).read_bytes()).hexdigest()[:12]


@cache
def target() -> str:
    """Return the target of SEQKIT_COMPILED, else the best one in the wheel for this processor, else ``NATIVE``."""
    asked, can = os.environ.get("SEQKIT_COMPILED", ""), runnable_targets()
    if asked in ("", "1"):
        return next((found for found in can if _shipped(found, torch.float32)), NATIVE)
    if asked not in (NATIVE, *can):
        raise UnavailableError(f"SEQKIT_COMPILED={asked} is none of 0, {', '.join((NATIVE, *can))}")
    return asked


@cache
def path(dtype: torch.dtype) -> Path:
    """Return the file of the library for a dtype; compile it where neither the wheel nor the cache has it."""
    return _shipped(target(), dtype) or compiled("", dtype, "the loops over time")


def runnable_targets() -> tuple[str, ...]:
    """Return the targets of wheels that this processor runs, best first."""
    if platform.machine() != "x86_64":
        return wheel_targets()
    found = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return levels(found[1] if found else "")


def levels(flags: str) -> tuple[str, ...]:
    """Return the levels of x86-64 that a processor has, highest first, by its flags in /proc/cpuinfo."""
    has = set(flags.split())
    upwards = itertools.takewhile(lambda level: has.issuperset(LEVELS[level].split()), reversed(LEVELS))
    return tuple(upwards)[::-1]


def _shipped(target: str, dtype: torch.dtype) -> Path | None:
    place = IN_THE_WHEEL / file_name(target, _number(dtype))
    return place if place.exists() else None


def compiled(text: str, dtype: torch.dtype, title: str) -> Path:
    """Return the library of loops in C, compiled on first use and kept.

    Args:
        text: C of the loops, empty for those of ``recurrence.c``.
        dtype: Of their numbers.
        title: Of the loops, for the log.

    Raises:
        UnavailableError: It cannot be compiled.
        OSError: It cannot be written.
    """
    import fcntl  # not on Windows

    processor = re.findall(r"^(?:model name|flags|Features)\s*:.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    what = source_of(text), FLAGS, target(), sorted(set(processor)), _number(dtype)
    name = f"{'step' if text else 'recurrence'}-{hashlib.sha256(repr(what).encode()).hexdigest()[:16]}"
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable and not (folder / f"{name}.so").exists():
        folder = Path(tempfile.mkdtemp(prefix="seqkit-"))
    place = folder / f"{name}.so"
    if place.exists():
        return place
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes that start together one compiles
        if not place.exists():
            LOG.info("compiling %s for this machine, once, into %s", title, folder)
            started = time.monotonic()
            compile_loops(place, target(), _number(dtype), PATIENCE, text)
            LOG.info("compiled %s in %.1f s", title, time.monotonic() - started)
    return place


def _number(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _openmp() -> str:
    """Return the path of the OpenMP library that torch has loaded."""
    mapped = {f"/{line.partition('/')[2]}" for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line}
    found = sorted(path for path in mapped if Path(path).name.startswith("libgomp"))
    if not found:
        raise LookupError("torch has loaded no libgomp")
    return next((path for path in found if "/torch" in path), found[0])

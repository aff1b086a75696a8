"""The C of a step as a library of this machine: compiled on first use, kept beside the loops of the fused backend."""

import ctypes
import fcntl
import hashlib
import logging
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import torch

from seqkit.models.backends.compiled.trace import NotTracedError
from seqkit.models.backends.fused.c_loops import FLAGS, NUMBERS, PATIENCE, _openmp, cache_folder, compiler

LOG = logging.getLogger("seqkit")
HEADER = Path(__file__).with_name("step.h")


def missing_reason(dtype: torch.dtype) -> str:
    """Return why no step can be compiled here, going on from the cell's name; empty if one can."""
    if os.environ.get("SEQKIT_COMPILED") == "0":
        return "is not compiled with SEQKIT_COMPILED=0"
    if platform.system() != "Linux":
        return "is compiled on Linux only"
    if dtype not in NUMBERS:
        return f"is not compiled for {str(dtype).removeprefix('torch.')}"
    if shutil.which(compiler()[0]) is None:
        return f"is not compiled, as no C compiler was found ({compiler()[0]})"
    return ""


@cache
def library(text: str, dtype: torch.dtype, name: str) -> ctypes.CDLL:
    """Return the compiled C of a step.

    Args:
        text: Of its functions.
        dtype: Of its numbers.
        name: Of the cell, for the log.

    Raises:
        NotTracedError: It cannot be compiled or loaded here.
    """
    try:
        place = _place(text, dtype)
        with place.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes that start together one compiles
            if not place.exists():
                started = time.monotonic()
                _compile(place, text, dtype)
                took = time.monotonic() - started
                LOG.info("compiled %s.step for this machine in %.1f s, once, into %s", name, took, place.parent)
        return ctypes.CDLL(str(place))
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or "no message"
        raise NotTracedError(f"is not compiled, as {compiler()[0]} failed: {said.splitlines()[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise NotTracedError(f"is not compiled, as {compiler()[0]} took more than {PATIENCE} seconds") from error
    except (OSError, LookupError) as error:
        raise NotTracedError(f"is compiled, but cannot be loaded: {error}") from error


def _place(text: str, dtype: torch.dtype) -> Path:
    """Return the file of a library, by the hash of all that decides its contents."""
    processor = re.findall(r"^(?:model name|flags|Features)\s*:.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    what = HEADER.read_text(), text, FLAGS, sorted(set(processor)), _openmp(), str(dtype)
    name = f"step-{hashlib.sha256(repr(what).encode()).hexdigest()[:16]}.so"
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    return (folder if writable else Path(tempfile.mkdtemp(prefix="seqkit-"))) / name


def _compile(place: Path, text: str, dtype: torch.dtype) -> None:
    define = ["-DDOUBLE"] if dtype == torch.float64 else []
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        made = f"{folder}/step"
        Path(f"{made}.c").write_text(f"{HEADER.read_text()}\n{text}")
        for command in (
            [*compiler(), *FLAGS, *define, "-fvisibility=hidden", "-c", f"{made}.c", "-o", f"{made}.o"],
            [*compiler(), "-shared", f"{made}.o", _openmp(), "-lm", "-o", f"{made}.so"],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        os.replace(f"{made}.so", place)

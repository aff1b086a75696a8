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
from seqkit.models.backends.fused.c_loops import NUMBERS
from seqkit.models.backends.fused.compiling import FLAGS as BASE
from seqkit.models.backends.fused.compiling import compiler
from seqkit.models.backends.fused.library import PATIENCE, _openmp, cache_folder

FLAGS = (*BASE, "-march=native")

LOG = logging.getLogger("seqkit")
HEADER = Path(__file__).with_name("step.h")
PRODUCTS = Path(__file__).with_name("products.c")


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
    folder, sources = _folder(), (HEADER.read_text(), PRODUCTS.read_text(), dtype)
    try:
        products = folder / f"products-{_hash(*sources)}.o"
        place = folder / f"step-{_hash(*sources, text)}.so"
        with (folder / "step.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes that start together one compiles
            if not place.exists():
                started = time.monotonic()
                _compile(products, place, text, dtype)
                LOG.info("compiled %s.step for this machine in %.1f s, once", name, time.monotonic() - started)
        return ctypes.CDLL(str(place))
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or "no message"
        raise NotTracedError(f"is not compiled, as {compiler()[0]} failed: {said.splitlines()[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise NotTracedError(f"is not compiled, as {compiler()[0]} took more than {PATIENCE} seconds") from error
    except (OSError, LookupError) as error:
        raise NotTracedError(f"is compiled, but cannot be loaded: {error}") from error


def _hash(*what: object) -> str:
    """Return a name for what is compiled from ``what`` here."""
    processor = re.findall(r"^(?:model name|flags|Features)\s*:.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return hashlib.sha256(repr((what, FLAGS, sorted(set(processor)), _openmp())).encode()).hexdigest()[:16]


def _folder() -> Path:
    """Return the folder of what was compiled, or a new one where that cannot be written to."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="seqkit-"))


def _compile(products: Path, place: Path, text: str, dtype: torch.dtype) -> None:
    """Compile the products, if that is not done yet, and a step, and link them."""
    options = [*FLAGS, *(["-DDOUBLE"] if dtype == torch.float64 else []), f"-I{HEADER.parent}", "-fvisibility=hidden"]

    def run(*arguments: str) -> None:
        subprocess.run([*compiler(), *arguments], check=True, capture_output=True, timeout=PATIENCE)

    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        made = f"{folder}/step"
        if not products.exists():
            run(*options, "-c", str(PRODUCTS), "-o", f"{made}.o")
            os.replace(f"{made}.o", products)
        Path(f"{made}.c").write_text(f'#include "step.h"\n\n{text}')
        run(*options, "-c", f"{made}.c", "-o", f"{made}.o")
        # Linked with torch's own OpenMP: with a second one, two pools of threads would fight for the processors.
        run("-shared", f"{made}.o", str(products), _openmp(), "-lm", "-o", f"{made}.so")
        os.replace(f"{made}.so", place)

"""The C of a step as a library: compiled for this processor on first use, and kept beside the loops of ``fused``."""

import ctypes
import hashlib
import shutil
from functools import cache
from pathlib import Path

import torch

from seqkit.models.backends.compiled.trace import NotTracedError
from seqkit.models.backends.fused.c_loops import IN_C
from seqkit.models.backends.fused.compiling import UnavailableError, compiler
from seqkit.models.backends.fused.library import compiled

HEADER = Path(__file__).with_name("step.h")


def missing_reason(dtype: torch.dtype) -> str:
    """Return why no step can be compiled here, going on from the step's name; empty if one can."""
    if shutil.which(compiler()[0]) is None:
        return f"is not compiled, as no C compiler was found ({compiler()[0]})"
    reason = IN_C.unavailable_reason(torch.device("cpu"), dtype)
    return f"is not compiled, as the loops in C are missing: {reason}" if reason else ""


@cache
def library(text: str, dtype: torch.dtype, name: str) -> tuple[ctypes.CDLL, str]:
    """Return the compiled C of a step, and a hash of it: equal ones give equal bits on one processor.

    Args:
        text: Of its functions.
        dtype: Of its numbers.
        name: Of the cell, for the log.

    Raises:
        NotTracedError: It cannot be compiled or loaded here.
    """
    try:
        path = compiled(f"{HEADER.read_text()}\n{text}", dtype, f"{name}.step")
        found = ctypes.CDLL(str(path)), hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except UnavailableError as error:
        raise NotTracedError(f"is not compiled, as {error}") from error
    except OSError as error:
        raise NotTracedError(f"is compiled, but cannot be loaded: {error}") from error
    return found

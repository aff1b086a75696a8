"""Compilers for tests of building: one that is quick, and ones that fail."""

import shutil
from pathlib import Path

import pytest

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


def quick_compiler(folder: Path) -> str:
    """Return the machine's compiler without optimisations, the slowest part of building."""
    return script(folder / "quick-cc", 'exec cc "$@" -O0')


def script(place: Path, line: str) -> str:
    """Return a new executable that does one line of shell."""
    place.write_text(f"#!/bin/sh\n{line}\n")
    place.chmod(0o755)
    return str(place)

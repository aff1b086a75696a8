"""How loops in C are compiled: for this processor on first use, and for every processor when a wheel is built.

It needs nothing but Python, since ``setup.py`` runs this file by itself.
"""

import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("recurrence.c")
HEADER = SOURCE.with_suffix(".h")
NATIVE = "native"
"""The target that uses every instruction of this processor."""

LEVELS = {
    "x86-64-v4": "avx512f avx512bw avx512cd avx512dq avx512vl",
    "x86-64-v3": "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave",
    "x86-64-v2": "cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3",
}
"""The levels of x86-64, highest first, with what each adds to the next one as /proc/cpuinfo has it (x86-64 psABI)."""

NUMBERS = {"float32": (), "float64": ("-DDOUBLE",)}
"""The dtypes that the loops compute in, with the definitions that choose them."""

WIDE = ("-mprefer-vector-width=512",) if platform.machine() == "x86_64" else ()
FLAGS = *WIDE, "-O3", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fopenmp", "-fPIC"


class UnavailableError(Exception):
    """Why there are no compiled loops, in one line."""


def compiler() -> list[str]:
    """Return the command of the C compiler."""
    return shlex.split(os.environ.get("CC", "")) or ["cc"]


def wheel_targets() -> tuple[str, ...]:
    """Return the targets that a wheel built here serves: the levels of x86-64, elsewhere the plain machine."""
    return tuple(LEVELS) if platform.machine() == "x86_64" else (platform.machine(),)


def file_name(target: str, number: str) -> str:
    """Return the name of a wheel's library."""
    return f"recurrence-{target}-{number}.so"


def source_of(text: str = "") -> str:
    """Return all of the C of a library: of the loops, or of others in ``text``, which include ``HEADER``."""
    return HEADER.read_text() + (text or SOURCE.read_text())


def compile_loops(place: Path, target: str, number: str, patience: float | None = None, text: str = "") -> None:
    """Compile the loops, or others, into a shared library.

    Its OpenMP symbols stay undefined, for the library that torch has loaded: a second one would start a second pool of
    threads, which would fight with the first for the processors.

    Args:
        place: File to write, whole or not at all.
        target: ``NATIVE``, a level of x86-64, or a machine's name for no instructions beyond its baseline.
        number: Dtype, one of ``NUMBERS``.
        patience: Seconds that the compiler may take; None for any.
        text: C of other loops, which include ``HEADER``.

    Raises:
        UnavailableError: There is no compiler, or it fails.
    """
    name = compiler()[0]
    if shutil.which(name) is None:
        raise UnavailableError(f"no C compiler was found ({name})")
    march = (f"-march={target}",) if target in (NATIVE, *LEVELS) else ()
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        made, source = Path(folder) / "recurrence", SOURCE
        if text:
            source = Path(f"{made}.c")
            source.write_text(text)
        for options in (
            [*FLAGS, *march, *NUMBERS[number], f"-I{HEADER.parent}", "-c", str(source), "-o", f"{made}.o"],
            ["-shared", "-s", f"{made}.o", "-lm", "-o", f"{made}.so"],
        ):
            try:
                subprocess.run([*compiler(), *options], check=True, capture_output=True, timeout=patience)
            except subprocess.CalledProcessError as error:
                said = error.stderr.decode(errors="replace").strip() or "no message"
                raise UnavailableError(f"{name} failed: {said.splitlines()[0]}") from None
            except OSError as error:
                raise UnavailableError(f"{name} cannot be run: {error.strerror}") from None
            except subprocess.TimeoutExpired:
                raise UnavailableError(f"{name} took more than {patience} seconds") from None
        if b"GOMP_parallel" not in Path(f"{made}.so").read_bytes():
            raise UnavailableError(f"{name} compiles OpenMP for another library than GNU's, which torch uses")
        os.replace(f"{made}.so", place)

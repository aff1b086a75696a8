"""The loops of the fused LSTM and GRU in C: built by the machine's own compiler on first use, kept for later ones.

Where there is no compiler, or anything else is missing, ``unavailable_reason`` says so and the loops in torch run. The
C is ``recurrence.c``, its threads are those of torch's own OpenMP.
"""

# T time, B batch, H hidden, G all gates: 4H, or 3H for a coupled LSTM and for a GRU
# hs, cs: states of steps 0 (the initial one) to T

import ctypes
import hashlib
import logging
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from seqkit.models.backends.fused.problem import GRUProblem, LSTMProblem
from seqkit.models.backends.fused.trial import try_loops
from seqkit.models.regularisation import ZoneoutMask

LOG = logging.getLogger("seqkit")
PATIENCE = 120  # seconds for the compiler
SOURCE = Path(__file__).with_name("recurrence.c")
WIDE = ["-mprefer-vector-width=512"] if platform.machine() == "x86_64" else []
FLAGS = *WIDE, "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fopenmp", "-fPIC"
NUMBERS = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}


class CLoops:
    """Loops in C, without layer normalisation; see ``Loops``."""

    language = "C"
    description = "compiled from C"

    def unavailable_reason(self, device: torch.device, dtype: torch.dtype) -> str:
        return _unavailable_reason(dtype) if device.type == "cpu" else "they run on a CPU only"

    def lstm_forward(self, problem: LSTMProblem) -> None:
        a_TBG, weight_GH, _, peephole_3H, mask_BH, zoneout_h, zoneout_c, hs, cs = problem
        T, B, G = a_TBG.shape
        coupled = 3 * hs.shape[2] == G
        _call(
            "lstm_forward", a_TBG, (T, B, hs.shape[2], coupled), a_TBG, weight_GH, peephole_3H, mask_BH,
            *_masks_and_shares(zoneout_h, zoneout_c), hs, cs,
        )  # fmt: skip

    def lstm_backward(
        self, problem: LSTMProblem, raw: Tensor | None, dh_TBH: Tensor | None, dc_TBH: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a_TBG, weight_GH, _, peephole_3H, mask_BH, zoneout_h, zoneout_c, hs, cs = problem
        T, B, G = a_TBG.shape
        coupled = 3 * hs.shape[2] == G
        d_TBG, dh_BH, dc_BH = torch.empty_like(a_TBG), torch.zeros_like(hs[0]), torch.zeros_like(cs[0])
        _call(
            "lstm_backward", a_TBG, (T, B, hs.shape[2], coupled), a_TBG, weight_GH, peephole_3H, mask_BH,
            *_masks_and_shares(zoneout_h, zoneout_c), cs, dh_TBH, dc_TBH, d_TBG, dh_BH, dc_BH,
        )  # fmt: skip
        return d_TBG, d_TBG, dh_BH, dc_BH

    def gru_forward(self, problem: GRUProblem) -> tuple[Tensor, Tensor | None]:
        a_TBG, weight_GH, bias_G, _, mask_BH, zoneout, hs = problem
        T, B, _ = a_TBG.shape
        u_n = torch.empty_like(hs[1:])
        sizes = T, B, hs.shape[2]
        _call("gru_forward", a_TBG, sizes, a_TBG, weight_GH, bias_G, mask_BH, *_masks_and_shares(zoneout), u_n, hs)
        return u_n, None

    def gru_backward(
        self, problem: GRUProblem, u_n_TBH: Tensor, raw: Tensor | None, dh_TBH: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a_TBG, weight_GH, _, _, mask_BH, zoneout, hs = problem
        T, B, _ = a_TBG.shape
        d_TBG, d_u, dh_BH = torch.empty_like(a_TBG), torch.empty_like(a_TBG), torch.zeros_like(hs[0])
        sizes = T, B, hs.shape[2]
        _call(
            "gru_backward",
            a_TBG,
            sizes,
            a_TBG,
            weight_GH,
            mask_BH,
            *_masks_and_shares(zoneout),
            u_n_TBH,
            hs,
            dh_TBH,
            d_TBG,
            d_u,
            dh_BH,
        )
        return d_TBG, d_u, d_u, dh_BH


@cache
def _unavailable_reason(dtype: torch.dtype) -> str:
    if os.environ.get("SEQKIT_COMPILED") == "0":
        return "SEQKIT_COMPILED=0"
    if platform.system() != "Linux":
        return "they are compiled on Linux only"
    if dtype not in NUMBERS:
        return f"they do not compute in {str(dtype).removeprefix('torch.')}"
    if shutil.which(compiler()[0]) is None:
        return f"no C compiler was found ({compiler()[0]})"
    try:
        _library(dtype)
        try_loops(CLoops(), torch.device("cpu"), dtype, 8)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or "no message"
        return f"{compiler()[0]} failed: {said.splitlines()[0]}"
    except subprocess.TimeoutExpired:
        return f"{compiler()[0]} took more than {PATIENCE} seconds"
    except AssertionError:
        return "the compiled ones give other results"
    except (OSError, AttributeError, LookupError, RuntimeError) as error:
        return f"compiled ones cannot be loaded: {error}"
    return ""


@cache
def _library(dtype: torch.dtype) -> ctypes.CDLL:
    """Return the compiled loops for a dtype."""
    import fcntl  # not on Windows

    processor = re.findall(r"^(?:model name|flags|Features)\s*:.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    openmp = _openmp()
    what = SOURCE.read_text(), FLAGS, sorted(set(processor)), openmp, str(dtype)
    name = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable and not (folder / f"recurrence-{name}.so").exists():
        folder = Path(tempfile.mkdtemp(prefix="seqkit-"))
    place = folder / f"recurrence-{name}.so"
    if place.exists():
        return ctypes.CDLL(str(place))
    with (folder / f"recurrence-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes that start together one compiles
        if not place.exists():
            LOG.info("compiling the loops over time for this machine, once, into %s", folder)
            _build(place, dtype, openmp)
    return ctypes.CDLL(str(place))


def _build(place: Path, dtype: torch.dtype, openmp: str) -> None:
    define = ["-DDOUBLE"] if dtype == torch.float64 else []
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        made = f"{folder}/recurrence"
        # Linked with torch's own OpenMP: with a second one, two pools of threads would fight for the processors.
        for command in (
            [*compiler(), *FLAGS, *define, "-c", str(SOURCE), "-o", f"{made}.o"],
            [*compiler(), "-shared", f"{made}.o", openmp, "-o", f"{made}.so"],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        os.replace(f"{made}.so", place)


def cache_folder() -> Path:
    """Return the folder that keeps compiled loops."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "seqkit"


def compiler() -> list[str]:
    """Return the command of the C compiler."""
    return shlex.split(os.environ.get("CC", "")) or ["cc"]


def _openmp() -> str:
    """Return the path of the OpenMP library that torch has loaded."""
    mapped = {f"/{line.partition('/')[2]}" for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line}
    found = sorted(path for path in mapped if Path(path).name.startswith("libgomp"))
    if not found:
        raise LookupError("torch has loaded no libgomp")
    return next((path for path in found if "/torch" in path), found[0])


def _masks_and_shares(*zoneouts: ZoneoutMask) -> tuple[Tensor | float | None, ...]:
    """Return the masks, then the expected shares."""
    masks = [mask if isinstance(mask, Tensor) else None for mask in zoneouts]
    return *masks, *(mask if isinstance(mask, float) else 0.0 for mask in zoneouts)


def _call(name: str, like: Tensor, sizes: tuple[int, ...], *arguments: Tensor | float | None) -> None:
    """Call a function of the C library: threads, sizes, tensors (None: NULL) and numbers."""
    number = NUMBERS[like.dtype]
    held = [part.contiguous() if isinstance(part, Tensor) else part for part in arguments]
    threads = max(1, min(torch.get_num_threads(), sizes[1]))
    getattr(_library(like.dtype), name)(
        threads,
        *map(int, sizes),
        *(number(part) if isinstance(part, float) else _address(part) for part in held),
    )


def _address(part: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if part is None else part.data_ptr())

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
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

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
ALIGNMENT = 64  # bytes
NUMBERS = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}

_BUFFERS = threading.local()  # of the packed weights, one per dtype


class CLoops:
    """Loops in C; see ``Loops``. What they save of the layer normalisation is their own: see ``gain_gradient``."""

    description = "compiled from C"

    def unavailable_reason(self, device: torch.device, dtype: torch.dtype) -> str:
        return _unavailable_reason(dtype) if device.type == "cpu" else "they run on a CPU only"

    def is_faster(self, a_TBG: Tensor, weight_GH: Tensor) -> bool:
        """Whether they beat the loops in torch: they pack U, a large one for many steps and rows only."""
        steps, batch, _ = a_TBG.shape
        return weight_GH.nbytes <= 2**20 or (steps >= 16 and batch >= 4)

    def lstm_forward(self, problem: LSTMProblem, packed: Tensor | None = None) -> Tensor | None:
        """Run forwards.

        Args:
            problem: Its ``hs``, ``cs`` and gates are filled in.
            packed: U by ``packed``, where the caller needs it for more calls, none of them followed by a backward pass.
        """
        a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, zoneout_h, zoneout_c, hs, cs = problem
        T, B, H, g = *hs[1:].shape, a_TBG.shape[2] // hs.shape[2]
        raw = _room_for_saved(a_TBG, gain_G, g, T if packed is None else 1)
        _call(
            "lstm_forward", a_TBG, T, B, H, g == 3, packed is None, a_TBG,
            self.packed(weight_GH, True) if packed is None else packed, gain_G, peephole_3H, mask_BH,
            *_masks_and_shares(zoneout_h, zoneout_c), raw, hs, cs,
        )  # fmt: skip
        return raw

    def lstm_backward(
        self, problem: LSTMProblem, raw: Tensor | None, dh_TBH: Tensor | None, dc_TBH: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, zoneout_h, zoneout_c, hs, cs = problem
        T, B, H, g = *hs[1:].shape, a_TBG.shape[2] // hs.shape[2]
        d_TBG, dh_BH, dc_BH = torch.empty_like(a_TBG), torch.zeros_like(hs[0]), torch.zeros_like(cs[0])
        d_raw = d_TBG if gain_G is None else torch.empty_like(a_TBG)
        _call(
            "lstm_backward", a_TBG, T, B, H, g == 3, a_TBG, self.packed(weight_GH, False), gain_G, peephole_3H, mask_BH,
            *_masks_and_shares(zoneout_h, zoneout_c), raw, cs, *_strided(dh_TBH), *_strided(dc_TBH), d_TBG, d_raw, dh_BH,
            dc_BH,
        )  # fmt: skip
        return d_TBG, d_raw, dh_BH, dc_BH

    def gru_forward(self, problem: GRUProblem, packed: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Run forwards; ``packed`` as in ``lstm_forward``."""
        a_TBG, weight_GH, bias_G, gain_G, mask_BH, zoneout, hs = problem
        T, B, H = hs[1:].shape
        u_n = torch.empty_like(hs[1:] if packed is None else hs[:1])
        raw = _room_for_saved(a_TBG, gain_G, 3, len(u_n))
        _call(
            "gru_forward", a_TBG, T, B, H, packed is None, a_TBG,
            self.packed(weight_GH, True) if packed is None else packed, bias_G, gain_G, mask_BH,
            *_masks_and_shares(zoneout), raw, u_n, hs,
        )  # fmt: skip
        return u_n, raw

    def gru_backward(
        self, problem: GRUProblem, u_n_TBH: Tensor, raw: Tensor | None, dh_TBH: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a_TBG, weight_GH, _, gain_G, mask_BH, zoneout, hs = problem
        T, B, H = hs[1:].shape
        d_TBG, d_u, dh_BH = torch.empty_like(a_TBG), torch.empty_like(a_TBG), torch.zeros_like(hs[0])
        d_raw = d_u if gain_G is None else torch.empty_like(a_TBG)
        _call(
            "gru_backward", a_TBG, T, B, H, a_TBG, self.packed(weight_GH, False), gain_G, mask_BH,
            *_masks_and_shares(zoneout), raw, u_n_TBH, hs, *_strided(dh_TBH), d_TBG, d_u, d_raw, dh_BH,
        )  # fmt: skip
        return d_TBG, d_u, d_raw, dh_BH

    def packed(self, weight_GH: Tensor, transposed: bool) -> Tensor:
        """Return U as the products of the loops take it, forwards transposed, in memory that is used again.

        It holds until the next call in this thread.
        """
        G, H = weight_GH.shape
        gates, inner = (G // H, H) if transposed else (1, G)
        size = _function("packed_size", weight_GH.dtype, ctypes.c_int64)(gates, H, inner)
        buffer = getattr(_BUFFERS, str(weight_GH.dtype), None)
        if (
            buffer is None or len(buffer) < size + ALIGNMENT
        ):  # U is loaded by whole vectors, from multiples of their size
            buffer = torch.empty(size + ALIGNMENT, dtype=weight_GH.dtype)
            setattr(_BUFFERS, str(weight_GH.dtype), buffer)
        packed = buffer[-buffer.data_ptr() % ALIGNMENT // buffer.itemsize :]
        _call("pack", weight_GH, transposed, gates, H, inner, weight_GH, packed)
        return packed

    def normalise(self, raw_NG: Tensor, gain_G: Tensor, bias_G: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Normalise each gate of each row in place; return gain * normal + bias, and the scale of each (N, gates)."""
        N, G = raw_NG.shape
        out_NG, scales = torch.empty_like(raw_NG), raw_NG.new_empty(N, G // size)
        _call("normalise", raw_NG, N, G // size, size, raw_NG, gain_G, bias_G, scales, out_NG)
        return out_NG, scales

    def normalise_backward(
        self, normal_NG: Tensor, gain_G: Tensor, scales: Tensor, d_NG: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of the values before ``normalise``, of the gain and of the bias."""
        (N, G), gates = normal_NG.shape, scales.shape[1]
        d_raw, room, sums = torch.empty_like(normal_NG), _room_for_sums(normal_NG, N, 2 * G), gain_G.new_empty(2, G)
        _call("normalise_backward", normal_NG, N, gates, G // gates, normal_NG, gain_G, scales, d_NG, d_raw, sums, room)
        return d_raw, sums[1], sums[0]

    def gain_gradient(self, d_TBG: Tensor, raw: Tensor) -> Tensor:
        """Return the gradient of the gain of U h, from that of the recurrent projection and what was saved."""
        return _sum_of_products(d_TBG, raw[:, :, : d_TBG.shape[2]])

    def peephole_gradient(self, d_TBG: Tensor, problem: LSTMProblem) -> Tensor:
        """Return the gradient of the peepholes (3, H)."""
        i, f, g, _ = problem.a_TBG.chunk(4, dim=2)
        cs = problem.cs
        d_i, d_f, _, d_o = d_TBG.chunk(4, dim=2)
        c_seen = cs[1:] if problem.zoneout_c is None else i * g + f * cs[:-1]  # the output gate sees c before zoneout
        return torch.stack([_sum_of_products(d, c) for d, c in ((d_i, cs[:-1]), (d_f, cs[:-1]), (d_o, c_seen))])


def _room_for_saved(a_TBG: Tensor, gain_G: Tensor | None, gates: int, steps: int) -> Tensor | None:
    """Return room for normalised products and each gate's scale."""
    _, B, G = a_TBG.shape
    return None if gain_G is None else a_TBG.new_empty(steps, B, G + gates)


def _sum_of_products(d_TBN: Tensor, x_TBN: Tensor) -> Tensor:
    """Return the sum of d * x over time and batch; of both, the rows of all steps are equally far apart."""
    T, B, N = d_TBN.shape
    out, room, steps = d_TBN.new_empty(N), _room_for_sums(d_TBN, T * B, N), (d_TBN.stride(1), x_TBN.stride(1))
    _call("sum_rows", d_TBN, T * B, N, *steps, _AsItIs(d_TBN), _AsItIs(x_TBN), out, room)
    return out


def _room_for_sums(like: Tensor, rows: int, size: int) -> Tensor:
    """Return room for the sums of each block of rows."""
    return like.new_empty(_function("blocks_of_rows", like.dtype, ctypes.c_int)(rows), size)


def _strided(d_TBH: Tensor | None) -> tuple[Any, ...]:
    """Return the distance between steps and between rows, and the gradient, its units side by side."""
    if d_TBH is None:
        return ctypes.c_int64(0), ctypes.c_int64(0), None
    if d_TBH.stride(2) != 1:
        d_TBH = d_TBH.contiguous()
    return ctypes.c_int64(d_TBH.stride(0)), ctypes.c_int64(d_TBH.stride(1)), _AsItIs(d_TBH)


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


class _AsItIs(NamedTuple):
    """A tensor that need not be contiguous."""

    tensor: Tensor


def _call(name: str, like: Tensor, *arguments: Any) -> None:
    """Call a function of the C library: with torch's threads, sizes, tensors (None: NULL) and numbers."""
    number = NUMBERS[like.dtype]
    held = [part.contiguous() if isinstance(part, Tensor) else part for part in arguments]  # alive during the call
    getattr(_library(like.dtype), name)(torch.get_num_threads(), *(_as_c(part, number) for part in held))


def _as_c(part: Any, number: Callable[[float], Any]) -> Any:
    if isinstance(part, float):
        return number(part)
    return _address(part) if part is None or isinstance(part, Tensor | _AsItIs) else part


def _address(part: "Tensor | _AsItIs | None") -> ctypes.c_void_p:
    if part is None:
        return ctypes.c_void_p(None)
    tensor = part.tensor if isinstance(part, _AsItIs) else part
    address = tensor.data_ptr()
    if not address and tensor.numel():
        raise RuntimeError(
            f"a recurrent layer was given a tensor {tuple(tensor.shape)} whose memory is freed: under FSDP a layer's "
            "weights are there inside its own forward and backward only"
        )
    return ctypes.c_void_p(address)


def _function(name: str, dtype: torch.dtype, result: Any) -> Any:
    """Return a function of the C library that returns a number."""
    function = getattr(_library(dtype), name)
    function.restype = result
    return function

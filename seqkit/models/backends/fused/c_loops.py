"""The loops of the fused LSTM and GRU in C: ``recurrence.c``, as ``library`` finds it compiled or compiles it.

Where there is no compiler, or anything else is missing, ``unavailable_reason`` says so and the loops in torch run. The
threads are those of torch's own OpenMP.
"""

# T time, B batch, H hidden, G all gates: 4H, or 3H for a coupled LSTM and for a GRU
# hs, cs: states of steps 0 (the initial one) to T

import ctypes
import os
import platform
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqkit.models.backends.fused import library
from seqkit.models.backends.fused.compiling import UnavailableError
from seqkit.models.backends.fused.problem import GRUProblem, LSTMProblem
from seqkit.models.backends.fused.trial import try_loops
from seqkit.models.regularisation import ZoneoutMask

ALIGNMENT = 64  # bytes
NUMBERS = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}

_BUFFERS = threading.local()  # of the packed weights, some per dtype


class CLoops:
    """Loops in C; see ``Loops``. Of the layer normalisation they save the normal values (T, B, G), then the scales."""

    language = "C"

    @property
    def description(self) -> str:
        return library.description()

    def unavailable_reason(self, device: torch.device, dtype: torch.dtype) -> str:
        return _unavailable_reason(dtype) if device.type == "cpu" else "they run on a CPU only"

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
            *_masks_and_shares(zoneout_h, zoneout_c), raw, cs, *_strided(dh_TBH), *_strided(dc_TBH), d_TBG, d_raw,
            dh_BH, dc_BH,
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

    def packed(self, weight_GH: Tensor, transposed: bool, number: int = 0) -> Tensor:
        """Return U as the products of the loops take it, forwards transposed, in memory that is used again.

        It holds until the next call with this ``number`` in this thread.
        """
        G, H = weight_GH.shape
        gates, inner = (G // H, H) if transposed else (1, G)
        size = _function("packed_size", weight_GH.dtype, ctypes.c_int64)(gates, H, inner)
        name = f"{weight_GH.dtype} {number}"
        buffer = getattr(_BUFFERS, name, None)
        if buffer is None or len(buffer) < size + ALIGNMENT:
            buffer = torch.empty(size + ALIGNMENT, dtype=weight_GH.dtype)
            setattr(_BUFFERS, name, buffer)
        # The loops load whole vectors, from multiples of their size.
        packed = buffer[-buffer.data_ptr() % ALIGNMENT // buffer.itemsize :]
        _call("pack", weight_GH, transposed, gates, H, inner, weight_GH, packed)
        return packed

    def product(self, dtype: torch.dtype) -> ctypes.c_void_p:
        """Return the address of the product with a packed U, for loops in other libraries (``Multiply``)."""
        return ctypes.cast(library.load(dtype).multiply_for_others, ctypes.c_void_p)

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

    def sum_of_products(self, d_TBN: Tensor, x_TBN: Tensor) -> Tensor:
        """Return the sum of d * x over time and batch; of both, the rows of all steps are equally far apart."""
        T, B, N = d_TBN.shape
        out, room, steps = d_TBN.new_empty(N), _room_for_sums(d_TBN, T * B, N), (d_TBN.stride(1), x_TBN.stride(1))
        _call("sum_rows", d_TBN, T * B, N, *steps, _AsItIs(d_TBN), _AsItIs(x_TBN), out, room)
        return out


def _room_for_saved(a_TBG: Tensor, gain_G: Tensor | None, gates: int, steps: int) -> Tensor | None:
    """Return room for normalised products and each gate's scale."""
    _, B, G = a_TBG.shape
    return None if gain_G is None else a_TBG.new_empty(steps, B, G + gates)


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


IN_C = CLoops()


@cache
def _unavailable_reason(dtype: torch.dtype) -> str:
    if os.environ.get("SEQKIT_COMPILED") == "0":
        return "SEQKIT_COMPILED=0"
    if platform.system() != "Linux":
        return "they are compiled on Linux only"
    if dtype not in NUMBERS:
        return f"they do not compute in {str(dtype).removeprefix('torch.')}"
    try:
        library.load(dtype)
        try_loops(IN_C, torch.device("cpu"), dtype, 8)
    except UnavailableError as error:
        return str(error)
    except AssertionError:
        return "the compiled ones give other results"
    except (OSError, AttributeError, LookupError, RuntimeError) as error:
        return f"compiled ones cannot be loaded: {error}"
    return ""


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
    getattr(library.load(like.dtype), name)(torch.get_num_threads(), *(_as_c(part, number) for part in held))


def _as_c(part: Any, number: Callable[[float], Any]) -> Any:
    if isinstance(part, float):
        return number(part)
    return address_of(part) if part is None or isinstance(part, Tensor | _AsItIs) else part


def address_of(part: "Tensor | _AsItIs | None") -> ctypes.c_void_p:
    """Return where the numbers of a tensor are, NULL for None; refuse freed ones."""
    if part is None:
        return ctypes.c_void_p(None)
    tensor = part.tensor if isinstance(part, _AsItIs) else part
    found = tensor.data_ptr()
    if not found and tensor.numel():
        raise RuntimeError(
            f"a recurrent layer was given a tensor {tuple(tensor.shape)} whose memory is freed: under FSDP a layer's "
            "weights are there inside its own forward and backward only"
        )
    return ctypes.c_void_p(found)


def _function(name: str, dtype: torch.dtype, result: Any) -> Any:
    """Return a function of the C library that returns a number."""
    function = getattr(library.load(dtype), name)
    function.restype = result
    return function

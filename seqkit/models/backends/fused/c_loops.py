"""The loops of the fused LSTM and GRU in C: ``recurrence.c``, as ``library`` finds it compiled or compiles it.

Where there is no compiler, or anything else is missing, ``unavailable_reason`` says so and the loops in torch run. The
threads are those of torch's own OpenMP.
"""

# T time, B batch, H hidden, G all gates: 4H, or 3H for a coupled LSTM and for a GRU
# hs, cs: states of steps 0 (the initial one) to T

import ctypes
import os
import platform
from functools import cache

import torch
from torch import Tensor

from seqkit.models.backends.fused import library
from seqkit.models.backends.fused.compiling import UnavailableError
from seqkit.models.backends.fused.problem import GRUProblem, LSTMProblem
from seqkit.models.backends.fused.trial import try_loops
from seqkit.models.regularisation import ZoneoutMask

NUMBERS = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}


class CLoops:
    """Loops in C, without layer normalisation; see ``Loops``."""

    language = "C"

    @property
    def description(self) -> str:
        return library.description()

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
    try:
        library.load(dtype)
        try_loops(CLoops(), torch.device("cpu"), dtype, 8)
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


def _call(name: str, like: Tensor, sizes: tuple[int, ...], *arguments: Tensor | float | None) -> None:
    """Call a function of the C library: threads, sizes, tensors (None: NULL) and numbers."""
    number = NUMBERS[like.dtype]
    held = [part.contiguous() if isinstance(part, Tensor) else part for part in arguments]
    threads = max(1, min(torch.get_num_threads(), sizes[1]))
    getattr(library.load(like.dtype), name)(
        threads,
        *map(int, sizes),
        *(number(part) if isinstance(part, float) else _address(part) for part in held),
    )


def _address(part: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if part is None else part.data_ptr())

"""The loops of the fused LSTM and GRU on CUDA, by Triton's kernels.

A persistent kernel runs all steps where U fits on the chip; else there is a matrix product and one kernel per step.

Before their first use the kernels are tried against the loops in torch; where Triton fails, ``unavailable_reason`` says
so and the loops in torch run.
"""

# T time, B batch, H hidden, G all gates: 4H, or 3H for a coupled LSTM and for a GRU
# hs, cs: states of steps 0 (the initial one) to T

from functools import cache
from typing import Any

import torch
from torch import Tensor

from seqkit.models.backends.fused.problem import GRUProblem, LSTMProblem
from seqkit.models.backends.fused.torch_loops import Product
from seqkit.models.backends.fused.trial import triton_failure, try_loops
from seqkit.models.regularisation import ZoneoutMask


class TritonLoops:
    """Loops by Triton's kernels; see ``Loops``."""

    language = "Triton"
    description = "in Triton's kernels"

    def unavailable_reason(self, device: torch.device, dtype: torch.dtype) -> str:
        return _unavailable_reason(device, dtype)

    def lstm_forward(self, problem: LSTMProblem) -> Tensor | None:
        a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, zoneout_h, zoneout_c, hs, cs = problem
        steps, persistent = _kernels()
        weight_GH = weight_GH.contiguous()
        if _fits_on_chip(hs, gain_G, zoneout_h, zoneout_c):
            persistent.lstm_forward(a_TBG, weight_GH, peephole_3H, mask_BH, hs, cs)
            return None
        raw = None if gain_G is None else torch.empty_like(a_TBG)
        product = Product(weight_GH, gain_G, mask_BH, raw)
        each = zip(
            a_TBG.unbind(0), hs.unbind(0)[:-1], cs.unbind(0)[:-1], hs.unbind(0)[1:], cs.unbind(0)[1:], strict=True
        )
        for t, (a, h, c, h_new, c_new) in enumerate(each):
            product.add(t, h, a)
            steps.lstm_forward(a, h, c, peephole_3H, _at(zoneout_h, t), _at(zoneout_c, t), h_new, c_new)
        return raw

    def lstm_backward(
        self, problem: LSTMProblem, raw: Tensor | None, dh_TBH: Tensor | None, dc_TBH: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, zoneout_h, zoneout_c, hs, cs = problem
        steps, persistent = _kernels()
        weight_GH = weight_GH.contiguous()
        dh_TBH, dc_TBH = (None if part is None else part.contiguous() for part in (dh_TBH, dc_TBH))
        d_TBG, dh_BH, dc_BH = torch.empty_like(a_TBG), torch.zeros_like(hs[0]), torch.zeros_like(cs[0])
        if _fits_on_chip(hs, gain_G, zoneout_h, zoneout_c):
            persistent.lstm_backward(a_TBG, weight_GH, peephole_3H, mask_BH, cs, dh_TBH, dc_TBH, d_TBG, dh_BH, dc_BH)
            return d_TBG, d_TBG, dh_BH, dc_BH
        product, buffer_BH = Product(weight_GH, gain_G, mask_BH, raw), torch.empty_like(dh_BH)
        d_raw = product.prepare_backward()
        for t in reversed(range(len(a_TBG))):
            if dh_TBH is not None:
                dh_BH.add_(dh_TBH[t])
            if dc_TBH is not None:
                dc_BH.add_(dc_TBH[t])
            steps.lstm_backward(
                a_TBG[t], cs[t], peephole_3H, _at(zoneout_h, t), _at(zoneout_c, t), dh_BH, dc_BH, d_TBG[t]
            )
            dh_BH.add_(product.back(t, d_TBG[t], buffer_BH))
        return d_TBG, d_TBG if d_raw is None else d_raw, dh_BH, dc_BH

    def gru_forward(self, problem: GRUProblem) -> tuple[Tensor, Tensor | None]:
        a_TBG, weight_GH, bias_G, gain_G, mask_BH, zoneout, hs = problem
        steps, persistent = _kernels()
        weight_GH, u_n_TBH = weight_GH.contiguous(), torch.empty_like(hs[1:])
        if _fits_on_chip(hs, gain_G, zoneout):
            persistent.gru_forward(a_TBG, weight_GH, bias_G, mask_BH, hs, u_n_TBH)
            return u_n_TBH, None
        raw = None if gain_G is None else torch.empty_like(a_TBG)
        product, u_BG = Product(weight_GH, gain_G, mask_BH, raw), torch.empty_like(a_TBG[0])
        each = zip(a_TBG.unbind(0), hs.unbind(0)[:-1], u_n_TBH.unbind(0), hs.unbind(0)[1:], strict=True)
        for t, (a, h, u_n, h_new) in enumerate(each):
            product.add(t, h, u_BG.copy_(bias_G.expand_as(u_BG)))
            steps.gru_forward(a, u_BG, h, _at(zoneout, t), u_n, h_new)
        return u_n_TBH, raw

    def gru_backward(
        self, problem: GRUProblem, u_n_TBH: Tensor, raw: Tensor | None, dh_TBH: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a_TBG, weight_GH, _, gain_G, mask_BH, zoneout, hs = problem
        steps, persistent = _kernels()
        weight_GH, dh_TBH = weight_GH.contiguous(), dh_TBH.contiguous()
        d_TBG, d_u, dh_BH = torch.empty_like(a_TBG), torch.empty_like(a_TBG), torch.zeros_like(hs[0])
        if _fits_on_chip(hs, gain_G, zoneout):
            persistent.gru_backward(a_TBG, weight_GH, mask_BH, hs, u_n_TBH, dh_TBH, d_TBG, d_u, dh_BH)
            return d_TBG, d_u, d_u, dh_BH
        product, buffer_BH = Product(weight_GH, gain_G, mask_BH, raw), torch.empty_like(dh_BH)
        d_raw = product.prepare_backward()
        for t in reversed(range(len(a_TBG))):
            dh_BH.add_(dh_TBH[t])
            steps.gru_backward(a_TBG[t], u_n_TBH[t], hs[t], _at(zoneout, t), dh_BH, d_TBG[t], d_u[t])
            dh_BH.add_(product.back(t, d_u[t], buffer_BH))
        return d_TBG, d_u, d_u if d_raw is None else d_raw, dh_BH


@cache
def _unavailable_reason(device: torch.device, dtype: torch.dtype) -> str:
    if dtype not in (torch.float32, torch.float64):
        return f"triton's kernels do not compute in {str(dtype).removeprefix('torch.')}"
    on_chip, beyond_it = 8, 200
    return triton_failure(lambda: [try_loops(TritonLoops(), device, dtype, size) for size in (on_chip, beyond_it)])


@cache
def _kernels() -> tuple[Any, Any]:
    from seqkit.models.backends.fused import triton_persistent, triton_steps

    return triton_steps, triton_persistent


def _fits_on_chip(hs: Tensor, gain_G: Tensor | None, *masks: ZoneoutMask) -> bool:
    plain = gain_G is None and all(mask is None for mask in masks)
    return plain and _kernels()[1].fits(hs.shape[2], hs.dtype)


def _at(mask: ZoneoutMask, t: int) -> ZoneoutMask:
    return mask[t] if isinstance(mask, Tensor) else mask

"""LSTMs and GRU as autograd functions with hand-written gradients, for every option of the stack.

The input projection of all gates is one product for all steps. The loops over time are those in torch (any device), in
C (CPU) or in Triton's kernels (CUDA), which give the same results; all weight gradients are single products after the
loop, here.
"""

# T time, B batch, I input, H hidden, G all gates: 4H, or 3H for a coupled LSTM and for a GRU

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import State
from seqkit.errors import PluginError
from seqkit.models.backends.fused.c_loops import IN_C, CLoops
from seqkit.models.backends.fused.input_projection import chunks, input_projection
from seqkit.models.backends.fused.problem import GRUProblem, Loops, LSTMProblem
from seqkit.models.backends.fused.torch_loops import TorchLoops, normalised
from seqkit.models.backends.fused.triton_loops import TritonLoops
from seqkit.models.once import once_differentiable
from seqkit.models.projections import Projections
from seqkit.models.regularisation import ZoneoutMask
from seqkit.precision import full_precision

IN_TORCH, IN_TRITON = TorchLoops(), TritonLoops()


def fused_lstm(
    cell: Any,
    x_TBI: Tensor,
    projections: Projections,
    masks: Sequence[ZoneoutMask],
    state: State,
    loops: Loops | None = None,
) -> tuple[Tensor, ...]:
    """Run one direction of a layer of LSTMs; see ``run_reference`` for the other arguments and the result.

    ``loops`` are those over time; None takes those of ``choose_loops``.

    The gates are input, forget, cell and output, or forget, cell and output where the input gate is 1 - forget.
    ``cell.peephole`` (3, H), where there is one, leads from the cell state to the input, forget and output gate.
    """
    weight, gain, peephole = projections.weights.weight_RH, projections.gain_hh_R, getattr(cell, "peephole", None)
    if peephole is not None and len(projections.layout.gates) != 4:
        raise PluginError(f"{type(cell).__name__}: the fused LSTM has peepholes with four gates only")
    loops = loops or choose_loops(weight.device, weight.dtype)[0]
    if isinstance(loops, CLoops) and not torch.is_grad_enabled():
        hs, cs = (_from(part, len(x_TBI)) for part in state)
        packed = loops.packed(weight, True)
        for steps in chunks(x_TBI, weight):
            a_TBG = input_projection(projections, x_TBI[steps], True, True)
            zoneout_h, zoneout_c = (_of(mask, steps) for mask in masks)
            own_hs, own_cs = (part[steps.start : steps.stop + 1] for part in (hs, cs))
            mask = projections.mask_BH
            problem = LSTMProblem(a_TBG, weight, gain, peephole, mask, zoneout_h, zoneout_c, own_hs, own_cs)
            loops.lstm_forward(problem, packed)
        return hs[1:], cs[1:]
    a_TBG = input_projection(projections, x_TBI, True, isinstance(loops, CLoops))
    with full_precision(x_TBI.device):
        return _LSTM.apply(a_TBG, weight, gain, peephole, projections.mask_BH, *masks, *state, loops)


def fused_gru(
    cell: Any,
    x_TBI: Tensor,
    projections: Projections,
    masks: Sequence[ZoneoutMask],
    state: State,
    loops: Loops | None = None,
) -> tuple[Tensor, ...]:
    """Run one direction of a layer of GRUs; see ``fused_lstm``."""
    _, weight, _, bias = projections.weights
    gain = projections.gain_hh_R
    loops = loops or choose_loops(weight.device, weight.dtype)[0]
    if isinstance(loops, CLoops) and not torch.is_grad_enabled():
        hs, packed = _from(state[0], len(x_TBI)), loops.packed(weight, True)
        for steps in chunks(x_TBI, weight):
            a_TBG = input_projection(projections, x_TBI[steps], False, True)
            zoneout, own_hs = _of(masks[0], steps), hs[steps.start : steps.stop + 1]
            problem = GRUProblem(a_TBG, weight, bias, gain, projections.mask_BH, zoneout, own_hs)
            loops.gru_forward(problem, packed)
        return (hs[1:],)
    a_TBG = input_projection(projections, x_TBI, False, isinstance(loops, CLoops))
    with full_precision(x_TBI.device):
        return (_GRU.apply(a_TBG, weight, bias, gain, projections.mask_BH, *masks, *state, loops),)


def choose_loops(device: torch.device, dtype: torch.dtype) -> tuple[Loops, str]:
    """Return the loops that run on a device, and in words where they run and why."""
    everywhere: dict[str, Loops] = {"cuda": IN_TRITON, "cpu": IN_C}
    best = everywhere.get(device.type, IN_TORCH)
    reason = best.unavailable_reason(device, dtype)
    return (IN_TORCH, f"{IN_TORCH.description}, as {reason}") if reason else (best, best.description)


def takes_loops(cell: Any) -> bool:
    """Whether the fused backend of a cell is one of this file, which can be given the loops over time."""
    return getattr(cell.fused, "__func__", cell.fused) in (fused_lstm, fused_gru)


class _LSTM(torch.autograd.Function):
    """(input projection, U, ...) -> (h_1..h_T, c_1..c_T). Overwrites the input projection by the gates."""

    @staticmethod
    def forward(
        ctx: Any,
        a_TBG: Tensor,
        weight_GH: Tensor,
        gain_G: Tensor | None,
        peephole_3H: Tensor | None,
        mask_BH: Tensor | None,
        zoneout_h: ZoneoutMask,
        zoneout_c: ZoneoutMask,
        h_BH: Tensor,
        c_BH: Tensor,
        loops: Loops,
    ) -> tuple[Tensor, Tensor]:
        hs, cs = _from(h_BH, len(a_TBG)), _from(c_BH, len(a_TBG))
        problem = LSTMProblem(a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, zoneout_h, zoneout_c, hs, cs)
        raw = loops.lstm_forward(problem)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, hs, cs, raw)
        ctx.loops, ctx.zoneout = loops, (zoneout_h, zoneout_c)
        return hs[1:], cs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_TBH: Tensor | None, dc_TBH: Tensor | None) -> tuple[Tensor | None, ...]:
        a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, hs, cs, raw = ctx.saved_tensors
        zoneout_h, zoneout_c = ctx.zoneout
        problem = LSTMProblem(a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, zoneout_h, zoneout_c, hs, cs)
        with full_precision(a_TBG.device):
            d_TBG, d_raw, dh_BH, dc_BH = ctx.loops.lstm_backward(problem, raw, dh_TBH, dc_TBH)
            dweight = _weight_gradient(d_raw, hs, mask_BH) if ctx.needs_input_grad[1] else None
            dgain = _gain_gradient(ctx.loops, d_TBG, raw, hs.shape[2]) if ctx.needs_input_grad[2] else None
            dpeephole = _peephole_gradient(ctx.loops, d_TBG, problem) if ctx.needs_input_grad[3] else None
        return d_TBG, dweight, dgain, dpeephole, None, None, None, dh_BH, dc_BH, None


class _GRU(torch.autograd.Function):
    """(input projection, U, its bias, ...) -> h_1..h_T. Overwrites the input projection by the gates."""

    @staticmethod
    def forward(
        ctx: Any,
        a_TBG: Tensor,
        weight_GH: Tensor,
        bias_G: Tensor,
        gain_G: Tensor | None,
        mask_BH: Tensor | None,
        zoneout: ZoneoutMask,
        h_BH: Tensor,
        loops: Loops,
    ) -> Tensor:
        hs = _from(h_BH, len(a_TBG))
        problem = GRUProblem(a_TBG, weight_GH, bias_G, gain_G, mask_BH, zoneout, hs)
        u_n, raw = loops.gru_forward(problem)
        ctx.save_for_backward(a_TBG, weight_GH, bias_G, gain_G, mask_BH, hs, u_n, raw)
        ctx.loops, ctx.zoneout = loops, zoneout
        return hs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_TBH: Tensor) -> tuple[Tensor | None, ...]:
        a_TBG, weight_GH, bias_G, gain_G, mask_BH, hs, u_n, raw = ctx.saved_tensors
        problem = GRUProblem(a_TBG, weight_GH, bias_G, gain_G, mask_BH, ctx.zoneout, hs)
        with full_precision(a_TBG.device):
            d_TBG, d_u, d_raw, dh_BH = ctx.loops.gru_backward(problem, u_n, raw, dh_TBH)
            dweight = _weight_gradient(d_raw, hs, mask_BH) if ctx.needs_input_grad[1] else None
            dbias = d_u.sum((0, 1)) if ctx.needs_input_grad[2] else None
            dgain = _gain_gradient(ctx.loops, d_u, raw, hs.shape[2]) if ctx.needs_input_grad[3] else None
        return d_TBG, dweight, dbias, dgain, None, None, dh_BH, None


def _from(initial_BH: Tensor, steps: int) -> Tensor:
    """Return a buffer for a state before and after every step, the first already there."""
    every = initial_BH.new_empty(steps + 1, *initial_BH.shape)
    every[0] = initial_BH
    return every


def _of(mask: ZoneoutMask, steps: slice) -> ZoneoutMask:
    return mask[steps] if isinstance(mask, Tensor) else mask


def _weight_gradient(d_raw: Tensor, hs: Tensor, mask_BH: Tensor | None) -> Tensor:
    h_TBH = hs[:-1] if mask_BH is None else hs[:-1] * mask_BH
    # In this order MKL is up to a quarter faster, and never slower.
    return (h_TBH.flatten(0, 1).t() @ d_raw.flatten(0, 1)).t().contiguous()


def _gain_gradient(loops: Loops, d_TBG: Tensor, raw: Tensor, size: int) -> Tensor:
    normal_TBG = raw[:, :, : d_TBG.shape[2]] if isinstance(loops, CLoops) else normalised(raw, size)[0].flatten(2)
    return _sum_of_products(loops, d_TBG, normal_TBG)


def _peephole_gradient(loops: Loops, d_TBG: Tensor, problem: LSTMProblem) -> Tensor:
    i, f, g, _ = problem.a_TBG.chunk(4, dim=2)
    cs = problem.cs
    d_i, d_f, _, d_o = d_TBG.chunk(4, dim=2)
    c_seen = cs[1:] if problem.zoneout_c is None else i * g + f * cs[:-1]  # the output gate sees c before zoneout
    return torch.stack([_sum_of_products(loops, *pair) for pair in ((d_i, cs[:-1]), (d_f, cs[:-1]), (d_o, c_seen))])


def _sum_of_products(loops: Loops, d_TBN: Tensor, x_TBN: Tensor) -> Tensor:
    """Return the sum of d * x over time and batch, in C the same for any number of threads."""
    return loops.sum_of_products(d_TBN, x_TBN) if isinstance(loops, CLoops) else (d_TBN * x_TBN).sum((0, 1))

"""LSTMs and GRU as autograd functions with hand-written gradients, for every option of the stack.

The input half of all gates is one product for all steps. The loops over time are in ``torch_loops`` (operations of torch,
any device), ``c_loops`` (C, on a CPU) and ``triton_loops`` (Triton), which give the same results; all weight gradients are
single products after the loop, here.
"""

# T time, B batch, I input, H hidden, G all gates: 4H, or 3H for a coupled LSTM and for a GRU

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqkit.contracts.batch import State
from seqkit.errors import PluginError
from seqkit.models.backends.fused import c_loops, torch_loops, triton_loops
from seqkit.models.projections import Halves
from seqkit.models.regularisation import Kept


def fused_lstm(cell: Any, x_TBI: Tensor, halves: Halves, kept: Sequence[Kept], state: State) -> tuple[Tensor, ...]:
    """Run one direction of a layer of LSTMs; see ``stepwise`` for the arguments and the result.

    The gates are input, forget, cell and output, or forget, cell and output where the input gate is 1 - forget.
    ``cell.peephole`` (3, H), where there is one, leads from the cell state to the input, forget and output gate.
    """
    a_TBG = halves.input_half(x_TBI, both_biases=True).contiguous()
    with torch.autocast(x_TBI.device.type, enabled=False):
        weight, gain, peephole = halves.weights.weight_GH, halves.gain_hh_G, getattr(cell, "peephole", None)
        if peephole is not None and len(halves.gates) != 4:
            raise PluginError(f"{type(cell).__name__}: the fused LSTM has peepholes with four gates only")
        return _LSTM.apply(a_TBG, weight, gain, peephole, halves.mask_BH, *kept, *state)


def fused_gru(cell: Any, x_TBI: Tensor, halves: Halves, kept: Sequence[Kept], state: State) -> tuple[Tensor, ...]:
    """Run one direction of a layer of GRUs; see ``stepwise`` for the arguments and the result."""
    a_TBG = halves.input_half(x_TBI).contiguous()
    with torch.autocast(x_TBI.device.type, enabled=False):
        _, weight, _, bias = halves.weights
        return (_GRU.apply(a_TBG, weight, bias, halves.gain_hh_G, halves.mask_BH, *kept, *state),)


def loops_for(device: torch.device, dtype: torch.dtype, layer_norm: bool) -> tuple[Any, str]:
    """Return the module whose loops run on a device, and in words how."""
    if device.type == "cuda":
        why_not = triton_loops.why_not(device, dtype)
        return (torch_loops, f"in torch, as {why_not}") if why_not else (triton_loops, "in Triton's kernels")
    if device.type != "cpu" or layer_norm:
        return torch_loops, "in torch"
    why_not = c_loops.why_not(dtype)
    return (torch_loops, f"in torch, as {why_not}") if why_not else (c_loops, "compiled from C")


def _loops(a_TBG: Tensor, weight_GH: Tensor, gain_G: Tensor | None) -> Any:
    loops, _ = loops_for(a_TBG.device, a_TBG.dtype, gain_G is not None)
    return torch_loops if loops is c_loops and not c_loops.pays(a_TBG, weight_GH) else loops


class _LSTM(torch.autograd.Function):
    """(gates before the recurrent half, U, ...) -> (h_1..h_T, c_1..c_T). Overwrites the gates."""

    @staticmethod
    def forward(
        ctx: Any,
        a_TBG: Tensor,
        weight_GH: Tensor,
        gain_G: Tensor | None,
        peephole_3H: Tensor | None,
        mask_BH: Tensor | None,
        keep_h: Kept,
        keep_c: Kept,
        h_BH: Tensor,
        c_BH: Tensor,
    ) -> tuple[Tensor, Tensor]:
        loops = _loops(a_TBG, weight_GH, gain_G)
        hs, cs = _from(h_BH, len(a_TBG)), _from(c_BH, len(a_TBG))
        raw = loops.lstm_forward(a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, keep_h, keep_c, hs, cs)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, hs, cs, raw)
        ctx.kept = keep_h, keep_c
        return hs[1:], cs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_TBH: Tensor | None, dc_TBH: Tensor | None) -> tuple[Tensor | None, ...]:
        a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, hs, cs, raw = ctx.saved_tensors
        loops = _loops(a_TBG, weight_GH, gain_G)
        with torch.autocast(a_TBG.device.type, enabled=False):
            d_TBG, d_raw, dh_BH, dc_BH = loops.lstm_backward(
                a_TBG, weight_GH, gain_G, peephole_3H, mask_BH, *ctx.kept, hs, cs, raw, dh_TBH, dc_TBH
            )
            dweight = _weight_gradient(d_raw, hs, mask_BH) if ctx.needs_input_grad[1] else None
            dgain = _gain_gradient(d_TBG, raw, hs.shape[2]) if ctx.needs_input_grad[2] else None
            dpeephole = _peephole_gradient(d_TBG, a_TBG, cs, ctx.kept[1]) if ctx.needs_input_grad[3] else None
        return d_TBG, dweight, dgain, dpeephole, None, None, None, dh_BH, dc_BH


class _GRU(torch.autograd.Function):
    """(input half of the gates, U, its bias, ...) -> h_1..h_T. Overwrites the gates."""

    @staticmethod
    def forward(
        ctx: Any,
        a_TBG: Tensor,
        weight_GH: Tensor,
        bias_G: Tensor,
        gain_G: Tensor | None,
        mask_BH: Tensor | None,
        keep: Kept,
        h_BH: Tensor,
    ) -> Tensor:
        loops = _loops(a_TBG, weight_GH, gain_G)
        hs = _from(h_BH, len(a_TBG))
        u_n, raw = loops.gru_forward(a_TBG, weight_GH, bias_G, gain_G, mask_BH, keep, hs)
        ctx.save_for_backward(a_TBG, weight_GH, gain_G, mask_BH, hs, u_n, raw)
        ctx.keep = keep
        return hs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_TBH: Tensor) -> tuple[Tensor | None, ...]:
        a_TBG, weight_GH, gain_G, mask_BH, hs, u_n, raw = ctx.saved_tensors
        loops = _loops(a_TBG, weight_GH, gain_G)
        with torch.autocast(a_TBG.device.type, enabled=False):
            d_TBG, d_u, d_raw, dh_BH = loops.gru_backward(
                a_TBG, weight_GH, gain_G, mask_BH, ctx.keep, hs, u_n, raw, dh_TBH
            )
            dweight = _weight_gradient(d_raw, hs, mask_BH) if ctx.needs_input_grad[1] else None
            dbias = d_u.sum((0, 1)) if ctx.needs_input_grad[2] else None
            dgain = _gain_gradient(d_u, raw, hs.shape[2]) if ctx.needs_input_grad[3] else None
        return d_TBG, dweight, dbias, dgain, None, None, dh_BH


def _from(initial_BH: Tensor, steps: int) -> Tensor:
    """Return room for a state before and after every step, the first already there."""
    every = initial_BH.new_empty(steps + 1, *initial_BH.shape)
    every[0] = initial_BH
    return every


def _weight_gradient(d_raw: Tensor, hs: Tensor, mask_BH: Tensor | None) -> Tensor:
    h_TBH = hs[:-1] if mask_BH is None else hs[:-1] * mask_BH
    return d_raw.flatten(0, 1).t() @ h_TBH.flatten(0, 1)


def _gain_gradient(d_TBG: Tensor, raw: Tensor, size: int) -> Tensor:
    normal_TBgH, _ = torch_loops.normalised(raw, size)
    return (d_TBG * normal_TBgH.flatten(2)).sum((0, 1))


def _peephole_gradient(d_TBG: Tensor, a_TBG: Tensor, cs: Tensor, keep_c: Kept) -> Tensor:
    i, f, g, _ = a_TBG.chunk(4, dim=2)
    d_i, d_f, _, d_o = d_TBG.chunk(4, dim=2)
    c_seen = cs[1:] if keep_c is None else i * g + f * cs[:-1]  # the output gate sees c before zoneout
    return torch.stack([(d * c).sum((0, 1)) for d, c in ((d_i, cs[:-1]), (d_f, cs[:-1]), (d_o, c_seen))])

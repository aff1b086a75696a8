"""LSTM, with or without peepholes, as one autograd function with a hand-written backward.

The input half of all gates is one product for all steps. Forwards, a step is one product and a few pointwise
operations on buffers made before the loop; backwards, all that does not depend on the gradient is computed for all
steps at once before the loop, and the weights' gradients are single products after it.
"""

# T time, B batch, I input, H hidden, G = 4H: input, forget, cell and output gate, in this order
# P = 3H: peepholes of the input, forget and output gate

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqkit.contracts import State
from seqkit.models.kernels.lengths import after_last


def fused_lstm(
    x_TBI: Tensor, lengths_B: Tensor | None, weights: tuple[Tensor, ...], peephole_3H: Tensor | None, state: State
) -> tuple[Tensor, State]:
    """Run one direction of one layer.

    Args:
        x_TBI: Input, finite in the padding too.
        lengths_B: Valid steps of each row, None where all are.
        weights: Of the input (G, I) and of the hidden state (G, H), and the bias of each (G,).
        peephole_3H: Weights from the cell state to the input, forget and output gate.
        state: Hidden and cell state before the first step, (B, H) each.

    Returns:
        The hidden state after every step (T, B, H), and the state after each row's last valid step.
    """
    weight_GI, weight_GH, bias_ih_G, bias_hh_G = weights
    # Under autocast this product is in half precision; the recurrence is in the parameters' own, as errors add up.
    a_TBG = F.linear(x_TBI, weight_GI, bias_ih_G + bias_hh_G).to(weight_GH.dtype)
    with torch.autocast(x_TBI.device.type, enabled=False):
        every = _Recurrence.apply(a_TBG, weight_GH, peephole_3H, *state)
    return every[0], tuple(after_last(part_TBH, lengths_B, old) for part_TBH, old in zip(every, state, strict=True))


class _Recurrence(torch.autograd.Function):
    """(gates before the recurrent half, U, peepholes, h_0, c_0) -> (h_1..h_T, c_1..c_T). Overwrites the gates."""

    @staticmethod
    def forward(
        ctx: Any, a_TBG: Tensor, weight_GH: Tensor, peephole_3H: Tensor | None, h_BH: Tensor, c_BH: Tensor
    ) -> tuple[Tensor, Tensor]:
        T, B, G = a_TBG.shape
        H = G // 4
        hs, cs, tanh_cs = (a_TBG.new_empty(size, B, H) for size in (T + 1, T + 1, T))  # step 0: the initial state
        hs[0], cs[0] = h_BH, c_BH
        a_TB4H = a_TBG.view(T, B, 4, H)
        weight_HG = weight_GH.t()
        # Views are made here, once each: in the loop they would cost as much as the arithmetic.
        steps = zip(
            a_TBG.unbind(0),
            a_TB4H[:, :, :2].unbind(0),
            *(gate_TBH.unbind(0) for gate_TBH in a_TB4H.unbind(2)),
            hs.unbind(0)[:-1],
            cs.unbind(0)[:-1],
            cs[:, :, None].unbind(0)[:-1],
            hs.unbind(0)[1:],
            cs.unbind(0)[1:],
            tanh_cs.unbind(0),
            strict=True,
        )
        if peephole_3H is not None:
            peephole_2H, peephole_H = peephole_3H[:2], peephole_3H[2]
        for a, i_and_f, i, f, g, o, h, c, c_wide, h_new, c_new, tanh_c in steps:
            a.addmm_(h, weight_HG)
            if peephole_3H is not None:
                i_and_f.addcmul_(peephole_2H, c_wide)
            i_and_f.sigmoid_()
            g.tanh_()
            torch.mul(f, c, out=c_new)
            c_new.addcmul_(i, g)
            if peephole_3H is not None:
                o.addcmul_(peephole_H, c_new)
            o.sigmoid_()
            torch.tanh(c_new, out=tanh_c)
            torch.mul(o, tanh_c, out=h_new)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(a_TBG, hs, cs, tanh_cs, weight_GH, peephole_3H)
        return hs[1:], cs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_TBH: Tensor | None, dc_TBH: Tensor | None) -> tuple[Tensor | None, ...]:
        with torch.autocast(ctx.saved_tensors[0].device.type, enabled=False):
            return _backward(ctx.saved_tensors, ctx.needs_input_grad, dh_TBH, dc_TBH)


def _backward(
    saved: tuple[Tensor, ...], needs: tuple[bool, ...], dh_TBH: Tensor | None, dc_TBH: Tensor | None
) -> tuple[Tensor | None, ...]:
    a_TBG, hs, cs, tanh_cs, weight_GH, peephole_3H = saved
    T, B, G = a_TBG.shape
    H = G // 4
    i, f, g, o = a_TBG.view(T, B, 4, H).unbind(2)
    h_old, c_old, h_new, c_new = hs[:-1], cs[:-1], hs[1:], cs[1:]

    # For all steps: the derivative of c by each of i, f, g before its nonlinearity, and of h by o and by c.
    d_TBG = torch.empty_like(a_TBG)
    d_i, d_f, d_g, d_o = d_TBG.view(T, B, 4, H).unbind(2)
    product = torch.mul(i, g)
    torch.addcmul(product, product, i, value=-1, out=d_i)  # g i (1 - i)
    torch.addcmul(i, product, g, value=-1, out=d_g)  # i (1 - g^2)
    torch.mul(f, c_old, out=product)
    torch.addcmul(product, product, f, value=-1, out=d_f)  # c_old f (1 - f)
    torch.addcmul(h_new, h_new, o, value=-1, out=d_o)  # tanh(c) o (1 - o)
    c_to_h = torch.addcmul(o, h_new, tanh_cs, value=-1, out=product)  # o (1 - tanh(c)^2)
    c_to_c = f
    if peephole_3H is not None:
        p_i, p_f, p_o = peephole_3H.unbind(0)
        c_to_h.addcmul_(d_o, p_o)
        c_to_c = torch.addcmul(f, d_i, p_i).addcmul_(d_f, p_f)

    # From the last step to the first: d_TBG becomes the gradient of the gates before their nonlinearity.
    steps = list(
        zip(
            d_TBG.unbind(0),
            d_TBG.view(T, B, 4, H)[:, :, :3].unbind(0),
            d_o.unbind(0),
            c_to_h.unbind(0),
            c_to_c.unbind(0),
            (torch.zeros_like(hs[:1]).expand(T, B, H) if dh_TBH is None else dh_TBH).unbind(0),
            [None] * T if dc_TBH is None else dc_TBH.unbind(0),
            strict=True,
        )
    )
    dh_from_next, dc_BH = torch.zeros_like(hs[0]), torch.zeros_like(cs[0])
    dc_wide = dc_BH[:, None]
    for d, d_ifg, d_o_t, h_by_c, c_by_c, dh_out, dc_out in reversed(steps):
        dh_BH = dh_from_next.add_(dh_out)
        if dc_out is not None:
            dc_BH.add_(dc_out)
        dc_BH.addcmul_(dh_BH, h_by_c)
        d_ifg.mul_(dc_wide)
        d_o_t.mul_(dh_BH)
        dc_BH.mul_(c_by_c)
        torch.mm(d, weight_GH, out=dh_from_next)

    dweight_GH = d_TBG.view(T * B, G).t() @ h_old.reshape(T * B, H) if needs[1] else None
    dpeephole_3H = None
    if needs[2]:
        pairs = ((d_i, c_old), (d_f, c_old), (d_o, c_new))
        dpeephole_3H = torch.stack([torch.mul(d, c, out=product).sum((0, 1)) for d, c in pairs])
    return d_TBG, dweight_GH, dpeephole_3H, dh_from_next, dc_BH

"""All steps of LSTM and GRU in one Triton kernel, for CUDA and the hidden sizes whose recurrent weights fit on chip.

One program runs one row (sequence) from its first step to its last, or back. Its threads keep the recurrent weights
and the state in registers; only what belongs to a single step goes to and from memory, that of the next one being
fetched meanwhile. The product of a row is a multiplication and a sum: ``tl.dot`` wants 16 rows, which one
multiprocessor would then compute instead of 16. All tensors are contiguous.
"""

# T time, B batch, H hidden, G = 4H: input, forget, cell and output gate, or 3H: forget, cell and output gate
# (coupled); in a GRU 3H: reset and update gate and candidate. P = 3H: peepholes of the input, forget and output gate.
# In the kernels: a_ gates before the nonlinearity, d_ their gradients, i f g o, r z n the activated gates, U_ and u_
# the recurrent weights of a gate (from unit, to unit) and their product with h.

import torch
import triton
import triton.language as tl
from torch import Tensor

from seqkit.models.backends.fused.triton_steps import sigmoid, tanh

_SIZES = "T", "B"  # differ from batch to batch, and knowing more about them would make no better code


def fits(hidden_size: int, dtype: torch.dtype) -> bool:
    """Tell whether the recurrent weights of all gates fit in the registers of one program.

    Up to 64 units in float32 and 32 in float64: four gates then take a quarter of a multiprocessor's registers. With
    twice the units they would take all of them.
    """
    return dtype in (torch.float32, torch.float64) and hidden_size * dtype.itemsize <= 256


def lstm_forward(
    a_TBG: Tensor, weight_GH: Tensor, peephole_P: Tensor | None, mask_BH: Tensor | None, hs: Tensor, cs: Tensor
) -> None:
    """Run an LSTM over all steps.

    Args:
        a_TBG: Input projection with both biases; the activated gates after.
        weight_GH: From the hidden state.
        peephole_P: Of the input, forget and output gate; never with coupled gates.
        mask_BH: What the hidden state is multiplied by before its product with the weights, None for ones.
        hs: Hidden states (T + 1, B, H): the initial one in, all others out.
        cs: Cell states likewise.
    """
    T, B, G = a_TBG.shape
    H = hs.shape[2]
    _lstm_forward[(B,)](
        a_TBG,
        weight_GH.t().contiguous(),
        peephole_P,
        mask_BH,
        hs,
        cs,
        T,
        B,
        H,
        G == 3 * H,
        triton.next_power_of_2(H),
        num_warps=_warps(H, hs.dtype),
        enable_fp_fusion=True,
    )


def lstm_backward(
    a_TBG: Tensor,
    weight_GH: Tensor,
    peephole_P: Tensor | None,
    mask_BH: Tensor | None,
    cs: Tensor,
    dh_TBH: Tensor | None,
    dc_TBH: Tensor | None,
    d_TBG: Tensor,
    dh_BH: Tensor,
    dc_BH: Tensor,
) -> None:
    """Go back over all steps of an LSTM.

    Args:
        a_TBG: Activated gates.
        weight_GH: As in the forward pass.
        peephole_P: As in the forward pass.
        mask_BH: As in the forward pass.
        cs: As in the forward pass.
        dh_TBH: Gradient of the hidden states that the pass gave.
        dc_TBH: Gradient of the cell states that the pass gave.
        d_TBG: Where the gradient of the gates before the nonlinearity goes.
        dh_BH: Where the gradient of the initial hidden state goes.
        dc_BH: Where the gradient of the initial cell state goes.
    """
    T, B, G = a_TBG.shape
    H = cs.shape[2]
    _lstm_backward[(B,)](
        a_TBG,
        weight_GH,
        peephole_P,
        mask_BH,
        cs,
        dh_TBH,
        dc_TBH,
        d_TBG,
        dh_BH,
        dc_BH,
        T,
        B,
        H,
        G == 3 * H,
        triton.next_power_of_2(H),
        num_warps=_warps(H, cs.dtype),
        enable_fp_fusion=True,
    )


def gru_forward(
    x_TBG: Tensor, weight_GH: Tensor, bias_G: Tensor, mask_BH: Tensor | None, hs: Tensor, u_n_TBH: Tensor
) -> None:
    """Run a GRU over all steps.

    Args:
        x_TBG: Input projection; the activated gates after.
        weight_GH: From the hidden state.
        bias_G: Recurrent bias.
        mask_BH: What the hidden state is multiplied by before its product with the weights, None for ones.
        hs: Hidden states (T + 1, B, H): the initial one in, all others out.
        u_n_TBH: Receives the recurrent projection of the candidate, for the backward pass.
    """
    T, B, _ = x_TBG.shape
    H = hs.shape[2]
    _gru_forward[(B,)](
        x_TBG,
        weight_GH.t().contiguous(),
        bias_G,
        mask_BH,
        hs,
        u_n_TBH,
        T,
        B,
        H,
        triton.next_power_of_2(H),
        num_warps=_warps(H, hs.dtype),
        enable_fp_fusion=True,
    )


def gru_backward(
    x_TBG: Tensor,
    weight_GH: Tensor,
    mask_BH: Tensor | None,
    hs: Tensor,
    u_n_TBH: Tensor,
    dh_TBH: Tensor,
    dx_TBG: Tensor,
    du_TBG: Tensor,
    dh_BH: Tensor,
) -> None:
    """Go back over all steps of a GRU.

    Args:
        x_TBG: Activated gates.
        weight_GH: As in the forward pass.
        mask_BH: As in the forward pass.
        hs: As in the forward pass.
        u_n_TBH: As in the forward pass.
        dh_TBH: Gradient of the hidden states that the pass gave.
        dx_TBG: Receives the gradient of the input projection.
        du_TBG: Receives the gradient of the recurrent projection.
        dh_BH: Where the gradient of the initial hidden state goes.
    """
    T, B, _ = x_TBG.shape
    H = hs.shape[2]
    _gru_backward[(B,)](
        x_TBG,
        weight_GH,
        mask_BH,
        hs,
        u_n_TBH,
        dh_TBH,
        dx_TBG,
        du_TBG,
        dh_BH,
        T,
        B,
        H,
        triton.next_power_of_2(H),
        num_warps=_warps(H, hs.dtype),
        enable_fp_fusion=True,
    )


def _warps(H: int, dtype: torch.dtype) -> int:
    """Return the fewest warps whose registers hold the weights: what they need not tell each other takes no time.

    More would also be wrong for few units: with no sum across warps there would be nothing to keep a warp from
    overwriting gates that another one, which does the same work over again, has yet to read.
    """
    return 1 if H * dtype.itemsize <= 128 else 4


@triton.jit
def _add(x, y):
    return x + y


@triton.jit
def _times(v, U):
    return tl.reduce(v[:, None] * U, 0, _add)


@triton.jit(do_not_specialize=_SIZES)
def _lstm_forward(
    a_ptr, weight_ptr, peephole_ptr, mask_ptr, h_ptr, c_ptr, T, B, H, COUPLED: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.arange(0, BLOCK)
    inside = unit < H
    square = inside[:, None] & inside[None, :]
    gates: tl.constexpr = 3 if COUPLED else 4
    weight_ptr += unit[:, None] * (gates * H) + unit[None, :]
    if not COUPLED:
        U_i = tl.load(weight_ptr, mask=square, other=0)
        weight_ptr += H
    U_f = tl.load(weight_ptr, mask=square, other=0)
    U_g = tl.load(weight_ptr + H, mask=square, other=0)
    U_o = tl.load(weight_ptr + 2 * H, mask=square, other=0)
    if peephole_ptr is not None:
        p_i = tl.load(peephole_ptr + unit, mask=inside, other=0)
        p_f = tl.load(peephole_ptr + H + unit, mask=inside, other=0)
        p_o = tl.load(peephole_ptr + 2 * H + unit, mask=inside, other=0)
    at = row * H + unit
    at_f = row * (gates * H) + (gates - 3) * H + unit
    h = tl.load(h_ptr + at, mask=inside, other=0)
    c = tl.load(c_ptr + at, mask=inside, other=0)
    if mask_ptr is not None:
        mask = tl.load(mask_ptr + row * H + unit, mask=inside, other=0)
    for _ in tl.range(T, num_stages=2):
        recorded = h
        if mask_ptr is not None:
            recorded = h * mask
        f = tl.load(a_ptr + at_f, mask=inside, other=0) + _times(recorded, U_f)
        if COUPLED:
            f = sigmoid(f)
            i = 1 - f
        else:
            i = tl.load(a_ptr + at_f - H, mask=inside, other=0) + _times(recorded, U_i)
            if peephole_ptr is not None:
                i += p_i * c
                f += p_f * c
            i = sigmoid(i)
            f = sigmoid(f)
            tl.store(a_ptr + at_f - H, i, mask=inside)
        g = tanh(tl.load(a_ptr + at_f + H, mask=inside, other=0) + _times(recorded, U_g))
        o = tl.load(a_ptr + at_f + 2 * H, mask=inside, other=0) + _times(recorded, U_o)
        c = f * c + i * g
        if peephole_ptr is not None:
            o += p_o * c
        o = sigmoid(o)
        h = o * tanh(c)
        tl.store(a_ptr + at_f, f, mask=inside)
        tl.store(a_ptr + at_f + H, g, mask=inside)
        tl.store(a_ptr + at_f + 2 * H, o, mask=inside)
        at += B * H
        at_f += B * (gates * H)
        tl.store(h_ptr + at, h, mask=inside)
        tl.store(c_ptr + at, c, mask=inside)


@triton.jit(do_not_specialize=_SIZES)
def _lstm_backward(
    a_ptr,
    weight_ptr,
    peephole_ptr,
    mask_ptr,
    c_ptr,
    dh_out_ptr,
    dc_out_ptr,
    d_ptr,
    dh_ptr,
    dc_ptr,
    T,
    B,
    H,
    COUPLED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.arange(0, BLOCK)
    inside = unit < H
    square = inside[:, None] & inside[None, :]
    gates: tl.constexpr = 3 if COUPLED else 4
    weight_ptr += unit[:, None] * H + unit[None, :]
    if not COUPLED:
        U_i = tl.load(weight_ptr, mask=square, other=0)
        weight_ptr += H * H
    U_f = tl.load(weight_ptr, mask=square, other=0)
    U_g = tl.load(weight_ptr + H * H, mask=square, other=0)
    U_o = tl.load(weight_ptr + 2 * H * H, mask=square, other=0)
    if peephole_ptr is not None:
        p_i = tl.load(peephole_ptr + unit, mask=inside, other=0)
        p_f = tl.load(peephole_ptr + H + unit, mask=inside, other=0)
        p_o = tl.load(peephole_ptr + 2 * H + unit, mask=inside, other=0)
    last = (T - 1) * B + row
    at = last * H + unit
    at_f = last * (gates * H) + (gates - 3) * H + unit
    dh = tl.full((BLOCK,), 0, dtype=a_ptr.dtype.element_ty)
    dc = tl.full((BLOCK,), 0, dtype=a_ptr.dtype.element_ty)
    c_new = tl.load(c_ptr + at + B * H, mask=inside, other=0)
    if mask_ptr is not None:
        mask = tl.load(mask_ptr + row * H + unit, mask=inside, other=0)
    for _ in tl.range(T, num_stages=2):
        if dh_out_ptr is not None:
            dh += tl.load(dh_out_ptr + at, mask=inside, other=0)
        if dc_out_ptr is not None:
            dc += tl.load(dc_out_ptr + at, mask=inside, other=0)
        c = tl.load(c_ptr + at, mask=inside, other=0)
        f = tl.load(a_ptr + at_f, mask=inside, other=0)
        g = tl.load(a_ptr + at_f + H, mask=inside, other=0)
        o = tl.load(a_ptr + at_f + 2 * H, mask=inside, other=0)
        tanh_c = tanh(c_new)
        d_o = dh * tanh_c * o * (1 - o)
        dc += dh * o * (1 - tanh_c * tanh_c)
        if peephole_ptr is not None:
            dc += p_o * d_o
        if COUPLED:
            i = 1 - f
            d_f = dc * (c - g) * f * i
            d_g = dc * i * (1 - g * g)
            dh = d_f[:, None] * U_f + d_g[:, None] * U_g + d_o[:, None] * U_o
            dc *= f
        else:
            i = tl.load(a_ptr + at_f - H, mask=inside, other=0)
            d_i = dc * g * i * (1 - i)
            d_f = dc * c * f * (1 - f)
            d_g = dc * i * (1 - g * g)
            dh = d_i[:, None] * U_i + d_f[:, None] * U_f + d_g[:, None] * U_g + d_o[:, None] * U_o
            dc *= f
            if peephole_ptr is not None:
                dc += p_i * d_i + p_f * d_f
            tl.store(d_ptr + at_f - H, d_i, mask=inside)
        dh = tl.reduce(dh, 0, _add)
        if mask_ptr is not None:
            dh *= mask
        tl.store(d_ptr + at_f, d_f, mask=inside)
        tl.store(d_ptr + at_f + H, d_g, mask=inside)
        tl.store(d_ptr + at_f + 2 * H, d_o, mask=inside)
        c_new = c
        at -= B * H
        at_f -= B * (gates * H)
    tl.store(dh_ptr + row * H + unit, dh, mask=inside)
    tl.store(dc_ptr + row * H + unit, dc, mask=inside)


@triton.jit(do_not_specialize=_SIZES)
def _gru_forward(x_ptr, weight_ptr, bias_ptr, mask_ptr, h_ptr, u_n_ptr, T, B, H, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.arange(0, BLOCK)
    inside = unit < H
    square = inside[:, None] & inside[None, :]
    weight_ptr += unit[:, None] * (3 * H) + unit[None, :]
    U_r = tl.load(weight_ptr, mask=square, other=0)
    U_z = tl.load(weight_ptr + H, mask=square, other=0)
    U_n = tl.load(weight_ptr + 2 * H, mask=square, other=0)
    b_r = tl.load(bias_ptr + unit, mask=inside, other=0)
    b_z = tl.load(bias_ptr + H + unit, mask=inside, other=0)
    b_n = tl.load(bias_ptr + 2 * H + unit, mask=inside, other=0)
    at = row * H + unit
    at_r = row * (3 * H) + unit
    h = tl.load(h_ptr + at, mask=inside, other=0)
    if mask_ptr is not None:
        mask = tl.load(mask_ptr + row * H + unit, mask=inside, other=0)
    for _ in tl.range(T, num_stages=2):
        recorded = h
        if mask_ptr is not None:
            recorded = h * mask
        r = sigmoid(tl.load(x_ptr + at_r, mask=inside, other=0) + b_r + _times(recorded, U_r))
        z = sigmoid(tl.load(x_ptr + at_r + H, mask=inside, other=0) + b_z + _times(recorded, U_z))
        u_n = b_n + _times(recorded, U_n)
        n = tanh(tl.load(x_ptr + at_r + 2 * H, mask=inside, other=0) + r * u_n)
        h = (1 - z) * n + z * h
        tl.store(x_ptr + at_r, r, mask=inside)
        tl.store(x_ptr + at_r + H, z, mask=inside)
        tl.store(x_ptr + at_r + 2 * H, n, mask=inside)
        tl.store(u_n_ptr + at, u_n, mask=inside)
        at += B * H
        at_r += B * (3 * H)
        tl.store(h_ptr + at, h, mask=inside)


@triton.jit(do_not_specialize=_SIZES)
def _gru_backward(
    x_ptr, weight_ptr, mask_ptr, h_ptr, u_n_ptr, dh_out_ptr, dx_ptr, du_ptr, dh_ptr, T, B, H, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.arange(0, BLOCK)
    inside = unit < H
    square = inside[:, None] & inside[None, :]
    weight_ptr += unit[:, None] * H + unit[None, :]
    U_r = tl.load(weight_ptr, mask=square, other=0)
    U_z = tl.load(weight_ptr + H * H, mask=square, other=0)
    U_n = tl.load(weight_ptr + 2 * H * H, mask=square, other=0)
    last = (T - 1) * B + row
    at = last * H + unit
    at_r = last * (3 * H) + unit
    dh = tl.full((BLOCK,), 0, dtype=x_ptr.dtype.element_ty)
    if mask_ptr is not None:
        mask = tl.load(mask_ptr + row * H + unit, mask=inside, other=0)
    for _ in tl.range(T, num_stages=2):
        dh += tl.load(dh_out_ptr + at, mask=inside, other=0)
        h = tl.load(h_ptr + at, mask=inside, other=0)
        u_n = tl.load(u_n_ptr + at, mask=inside, other=0)
        r = tl.load(x_ptr + at_r, mask=inside, other=0)
        z = tl.load(x_ptr + at_r + H, mask=inside, other=0)
        n = tl.load(x_ptr + at_r + 2 * H, mask=inside, other=0)
        d_n = dh * (1 - z) * (1 - n * n)
        d_z = dh * (h - n) * z * (1 - z)
        d_r = d_n * u_n * r * (1 - r)
        d_u = d_n * r
        d_seen = tl.reduce(d_r[:, None] * U_r + d_z[:, None] * U_z + d_u[:, None] * U_n, 0, _add)
        if mask_ptr is not None:
            d_seen *= mask
        dh = dh * z + d_seen
        tl.store(dx_ptr + at_r, d_r, mask=inside)
        tl.store(dx_ptr + at_r + H, d_z, mask=inside)
        tl.store(dx_ptr + at_r + 2 * H, d_n, mask=inside)
        tl.store(du_ptr + at_r, d_r, mask=inside)
        tl.store(du_ptr + at_r + H, d_z, mask=inside)
        tl.store(du_ptr + at_r + 2 * H, d_u, mask=inside)
        at -= B * H
        at_r -= B * (3 * H)
    tl.store(dh_ptr + row * H + unit, dh, mask=inside)

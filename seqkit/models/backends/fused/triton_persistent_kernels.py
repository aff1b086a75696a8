"""The persistent Triton kernels; ``triton_persistent`` launches them and explains their arguments."""

# T time, B batch, H hidden, G = 4H: input, forget, cell and output gate, or 3H: forget, cell and output gate
# (coupled); in a GRU 3H: reset and update gate and candidate. P = 3H: peepholes of the input, forget and output gate.
# In the kernels: a_ gates before the nonlinearity, d_ their gradients, i f g o, r z n the activated gates, U_ and u_
# the recurrent weights of a gate (from unit, to unit) and their product with h.

import triton
import triton.language as tl

from seqkit.models.backends.fused.triton_steps import sigmoid, tanh

_SIZES = "T", "B"  # differ from batch to batch, and knowing more about them would make no better code


@triton.jit
def _add(x, y):
    return x + y


@triton.jit
def _times(v, U):
    return tl.reduce(v[:, None] * U, 0, _add)


@triton.jit(do_not_specialize=_SIZES)
def lstm_forward(
    a_ptr, weight_ptr, peephole_ptr, mask_ptr, h_ptr, c_ptr, T, B, H, COUPLED: tl.constexpr, BLOCK: tl.constexpr
):
    """Fill in the gates and states of all steps of one row."""
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
        masked = h
        if mask_ptr is not None:
            masked = h * mask
        f = tl.load(a_ptr + at_f, mask=inside, other=0) + _times(masked, U_f)
        if COUPLED:
            f = sigmoid(f)
            i = 1 - f
        else:
            i = tl.load(a_ptr + at_f - H, mask=inside, other=0) + _times(masked, U_i)
            if peephole_ptr is not None:
                i += p_i * c
                f += p_f * c
            i = sigmoid(i)
            f = sigmoid(f)
            tl.store(a_ptr + at_f - H, i, mask=inside)
        g = tanh(tl.load(a_ptr + at_f + H, mask=inside, other=0) + _times(masked, U_g))
        o = tl.load(a_ptr + at_f + 2 * H, mask=inside, other=0) + _times(masked, U_o)
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
def lstm_backward(
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
    """Compute the gradients of the gates and of the initial states of one row."""
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
def gru_forward(x_ptr, weight_ptr, bias_ptr, mask_ptr, h_ptr, u_n_ptr, T, B, H, BLOCK: tl.constexpr):
    """Fill in the gates and states of all steps of one row."""
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
        masked = h
        if mask_ptr is not None:
            masked = h * mask
        r = sigmoid(tl.load(x_ptr + at_r, mask=inside, other=0) + b_r + _times(masked, U_r))
        z = sigmoid(tl.load(x_ptr + at_r + H, mask=inside, other=0) + b_z + _times(masked, U_z))
        u_n = b_n + _times(masked, U_n)
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
def gru_backward(
    x_ptr, weight_ptr, mask_ptr, h_ptr, u_n_ptr, dh_out_ptr, dx_ptr, du_ptr, dh_ptr, T, B, H, BLOCK: tl.constexpr
):
    """Compute the gradients of both projections and of the initial state of one row."""
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

"""One step of LSTM and GRU after its recurrent product, each direction as one Triton kernel, for CUDA.

A row is one sequence. The kernels work in place wherever a buffer is not needed again. States may be parts of longer
rows; all else is contiguous. Only Triton's builtin functions are used, not its library of compiled ones, so that the
interpreter can run the kernels in the tests.
"""

# B batch, H hidden, G = 4H: input, forget, cell and output gate, or 3H: forget, cell and output gate (coupled);
# in a GRU 3H: reset and update gate and candidate. P = 3H: peepholes of the input, forget and output gate.
# In the kernels: a_ gates before the nonlinearity, d_ their gradients, i f g o, r z n the activated gates.

import triton
import triton.language as tl
from torch import Tensor

Keep = Tensor | float | None  # zoneout: the mask (B, H) of what stays as it was, or its expectation, or none


def lstm_forward(
    a_BG: Tensor,
    h_BH: Tensor,
    c_BH: Tensor,
    peephole_P: Tensor | None,
    zoneout_h: Keep,
    zoneout_c: Keep,
    h_new_BH: Tensor,
    c_new_BH: Tensor,
) -> None:
    """Make one step of an LSTM from its gates.

    Args:
        a_BG: Gates before the nonlinearity; the activated ones after.
        h_BH: Hidden state before the step; looked at for zoneout only.
        c_BH: Cell state before the step.
        peephole_P: Of the input, forget and output gate; never with coupled gates.
        zoneout_h: Zoneout of the hidden state.
        zoneout_c: Zoneout of the cell state.
        h_new_BH: Where the hidden state after the step goes.
        c_new_BH: Where the cell state after the step goes.
    """
    B, H = c_BH.shape
    mask_h, rate_h = _mask_and_rate(zoneout_h)
    mask_c, rate_c = _mask_and_rate(zoneout_c)
    _lstm_forward[_grid(B, H)](
        a_BG,
        h_BH,
        c_BH,
        peephole_P,
        mask_h,
        mask_c,
        h_new_BH,
        c_new_BH,
        h_BH.stride(0),
        c_BH.stride(0),
        h_new_BH.stride(0),
        c_new_BH.stride(0),
        H,
        rate_h,
        rate_c,
        a_BG.shape[1] == 3 * H,
        _block(H),
        enable_fp_fusion=True,
    )


def lstm_backward(
    a_BG: Tensor,
    c_BH: Tensor,
    peephole_P: Tensor | None,
    zoneout_h: Keep,
    zoneout_c: Keep,
    dh_BH: Tensor,
    dc_BH: Tensor,
    d_BG: Tensor,
) -> None:
    """Go back over one step of an LSTM.

    Args:
        a_BG: Activated gates.
        c_BH: Cell state before the step.
        peephole_P: As in the forward step.
        zoneout_h: As in the forward step.
        zoneout_c: As in the forward step.
        dh_BH: Whole gradient of the hidden state after the step; after, that part of the gradient of the one before
            which does not go through the gates.
        dc_BH: Whole gradient of the cell state after the step; after, of the one before.
        d_BG: Where the gradient of the gates before the nonlinearity goes.
    """
    B, H = c_BH.shape
    mask_h, rate_h = _mask_and_rate(zoneout_h)
    mask_c, rate_c = _mask_and_rate(zoneout_c)
    _lstm_backward[_grid(B, H)](
        a_BG,
        c_BH,
        peephole_P,
        mask_h,
        mask_c,
        dh_BH,
        dc_BH,
        d_BG,
        c_BH.stride(0),
        H,
        rate_h,
        rate_c,
        a_BG.shape[1] == 3 * H,
        _block(H),
        enable_fp_fusion=True,
    )


def gru_forward(x_BG: Tensor, u_BG: Tensor, h_BH: Tensor, zoneout_h: Keep, u_n_BH: Tensor, h_new_BH: Tensor) -> None:
    """Make one step of a GRU from the two projections of its gates.

    Args:
        x_BG: The input's half; the activated gates after.
        u_BG: The recurrent half.
        h_BH: Hidden state before the step.
        zoneout_h: Zoneout of the hidden state.
        u_n_BH: Where the candidate's recurrent half goes, for the way back.
        h_new_BH: Where the hidden state after the step goes.
    """
    B, H = h_BH.shape
    mask, rate = _mask_and_rate(zoneout_h)
    _gru_forward[_grid(B, H)](
        x_BG,
        u_BG,
        h_BH,
        mask,
        u_n_BH,
        h_new_BH,
        h_BH.stride(0),
        h_new_BH.stride(0),
        H,
        rate,
        _block(H),
        enable_fp_fusion=True,
    )


def gru_backward(
    x_BG: Tensor, u_n_BH: Tensor, h_BH: Tensor, zoneout_h: Keep, dh_BH: Tensor, dx_BG: Tensor, du_BG: Tensor
) -> None:
    """Go back over one step of a GRU.

    Args:
        x_BG: Activated gates.
        u_n_BH: The candidate's recurrent half.
        h_BH: Hidden state before the step.
        zoneout_h: As in the forward step.
        dh_BH: Whole gradient of the hidden state after the step; after, that part of the gradient of the one before
            which does not go through the gates.
        dx_BG: Where the gradient of the input's half goes.
        du_BG: Where the gradient of the recurrent half goes.
    """
    B, H = h_BH.shape
    mask, rate = _mask_and_rate(zoneout_h)
    _gru_backward[_grid(B, H)](
        x_BG, u_n_BH, h_BH, mask, dh_BH, dx_BG, du_BG, h_BH.stride(0), H, rate, _block(H), enable_fp_fusion=True
    )


def _mask_and_rate(keep: Keep) -> tuple[Tensor | None, float]:
    return (keep, 0.0) if isinstance(keep, Tensor) else (None, keep or 0.0)


def _block(H: int) -> int:
    return min(triton.next_power_of_2(H), 256)


def _grid(B: int, H: int) -> tuple[int, int]:
    return B, triton.cdiv(H, _block(H))


@triton.jit
def sigmoid(x):
    """Return the logistic function of x."""
    return 1 / (1 + tl.exp(-x))


@triton.jit
def tanh(x):
    """Return the hyperbolic tangent of x, which Triton itself does not have."""
    # By exp alone it would lose digits near 0, where Lambert's continued fraction is exact to float64.
    square = x * x
    near_0 = square < 0.0625
    e = tl.exp(-2 * tl.abs(x))  # never overflows
    top = tl.where(near_0, x * (10395 + square * (1260 + 21 * square)), tl.where(x < 0, e - 1, 1 - e))
    bottom = tl.where(near_0, 10395 + square * (4725 + square * (210 + square)), 1 + e)
    return top / bottom


@triton.jit
def _zoneout(old, new, mask_ptr, rate: tl.constexpr, at, inside):
    if mask_ptr is not None:
        new = tl.where(tl.load(mask_ptr + at, mask=inside, other=0), old, new)
    elif rate != 0:
        new += rate * (old - new)
    return new


@triton.jit
def _kept(d, mask_ptr, rate: tl.constexpr, at, inside):
    kept = rate * d
    if mask_ptr is not None:
        kept = tl.where(tl.load(mask_ptr + at, mask=inside, other=0), d, 0.0)
    return kept


@triton.jit
def _lstm_forward(
    a_ptr,
    h_ptr,
    c_ptr,
    peephole_ptr,
    mask_h_ptr,
    mask_c_ptr,
    h_new_ptr,
    c_new_ptr,
    h_stride,
    c_stride,
    h_new_stride,
    c_new_stride,
    H,
    rate_h: tl.constexpr,
    rate_c: tl.constexpr,
    COUPLED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < H
    at = row * H + unit
    c = tl.load(c_ptr + row * c_stride + unit, mask=inside)
    if COUPLED:
        f_ptr = a_ptr + row * 3 * H + unit
        f = sigmoid(tl.load(f_ptr, mask=inside))
        i = 1 - f
    else:
        i_ptr = a_ptr + row * 4 * H + unit
        f_ptr = i_ptr + H
        a_i = tl.load(i_ptr, mask=inside)
        a_f = tl.load(f_ptr, mask=inside)
        if peephole_ptr is not None:
            a_i += c * tl.load(peephole_ptr + unit, mask=inside)
            a_f += c * tl.load(peephole_ptr + H + unit, mask=inside)
        i = sigmoid(a_i)
        f = sigmoid(a_f)
        tl.store(i_ptr, i, mask=inside)
    g = tanh(tl.load(f_ptr + H, mask=inside))
    c_new = f * c + i * g
    a_o = tl.load(f_ptr + 2 * H, mask=inside)
    if peephole_ptr is not None:
        a_o += c_new * tl.load(peephole_ptr + 2 * H + unit, mask=inside)
    o = sigmoid(a_o)
    h_new = o * tanh(c_new)
    tl.store(f_ptr, f, mask=inside)
    tl.store(f_ptr + H, g, mask=inside)
    tl.store(f_ptr + 2 * H, o, mask=inside)
    if mask_h_ptr is not None or rate_h != 0:
        h = tl.load(h_ptr + row * h_stride + unit, mask=inside)
        h_new = _zoneout(h, h_new, mask_h_ptr, rate_h, at, inside)
    c_new = _zoneout(c, c_new, mask_c_ptr, rate_c, at, inside)
    tl.store(h_new_ptr + row * h_new_stride + unit, h_new, mask=inside)
    tl.store(c_new_ptr + row * c_new_stride + unit, c_new, mask=inside)


@triton.jit
def _lstm_backward(
    a_ptr,
    c_ptr,
    peephole_ptr,
    mask_h_ptr,
    mask_c_ptr,
    dh_ptr,
    dc_ptr,
    d_ptr,
    c_stride,
    H,
    rate_h: tl.constexpr,
    rate_c: tl.constexpr,
    COUPLED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < H
    at = row * H + unit
    c = tl.load(c_ptr + row * c_stride + unit, mask=inside)
    dh = tl.load(dh_ptr + at, mask=inside)
    dc = tl.load(dc_ptr + at, mask=inside)
    kept_h = _kept(dh, mask_h_ptr, rate_h, at, inside)
    kept_c = _kept(dc, mask_c_ptr, rate_c, at, inside)
    dh -= kept_h
    dc -= kept_c
    if COUPLED:
        at_f = row * 3 * H + unit
        f = tl.load(a_ptr + at_f, mask=inside)
        i = 1 - f
    else:
        at_i = row * 4 * H + unit
        at_f = at_i + H
        i = tl.load(a_ptr + at_i, mask=inside)
        f = tl.load(a_ptr + at_f, mask=inside)
    g = tl.load(a_ptr + at_f + H, mask=inside)
    o = tl.load(a_ptr + at_f + 2 * H, mask=inside)
    tanh_c = tanh(f * c + i * g)
    d_o = dh * tanh_c * o * (1 - o)
    dc += dh * o * (1 - tanh_c * tanh_c)
    if peephole_ptr is not None:
        dc += d_o * tl.load(peephole_ptr + 2 * H + unit, mask=inside)
    d_g = dc * i * (1 - g * g)
    dc_old = dc * f + kept_c
    if COUPLED:
        d_f = dc * (c - g) * f * i
    else:
        d_f = dc * c * f * (1 - f)
        d_i = dc * g * i * (1 - i)
        if peephole_ptr is not None:
            dc_old += d_i * tl.load(peephole_ptr + unit, mask=inside)
            dc_old += d_f * tl.load(peephole_ptr + H + unit, mask=inside)
        tl.store(d_ptr + at_i, d_i, mask=inside)
    tl.store(d_ptr + at_f, d_f, mask=inside)
    tl.store(d_ptr + at_f + H, d_g, mask=inside)
    tl.store(d_ptr + at_f + 2 * H, d_o, mask=inside)
    tl.store(dh_ptr + at, kept_h, mask=inside)
    tl.store(dc_ptr + at, dc_old, mask=inside)


@triton.jit
def _gru_forward(
    x_ptr,
    u_ptr,
    h_ptr,
    mask_ptr,
    u_n_ptr,
    h_new_ptr,
    h_stride,
    h_new_stride,
    H,
    rate: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < H
    x_ptr += row * 3 * H + unit
    u_ptr += row * 3 * H + unit
    h = tl.load(h_ptr + row * h_stride + unit, mask=inside)
    r = sigmoid(tl.load(x_ptr, mask=inside) + tl.load(u_ptr, mask=inside))
    z = sigmoid(tl.load(x_ptr + H, mask=inside) + tl.load(u_ptr + H, mask=inside))
    u_n = tl.load(u_ptr + 2 * H, mask=inside)
    n = tanh(tl.load(x_ptr + 2 * H, mask=inside) + r * u_n)
    h_new = _zoneout(h, (1 - z) * n + z * h, mask_ptr, rate, row * H + unit, inside)
    tl.store(x_ptr, r, mask=inside)
    tl.store(x_ptr + H, z, mask=inside)
    tl.store(x_ptr + 2 * H, n, mask=inside)
    tl.store(u_n_ptr + row * H + unit, u_n, mask=inside)
    tl.store(h_new_ptr + row * h_new_stride + unit, h_new, mask=inside)


@triton.jit
def _gru_backward(
    x_ptr,
    u_n_ptr,
    h_ptr,
    mask_ptr,
    dh_ptr,
    dx_ptr,
    du_ptr,
    h_stride,
    H,
    rate: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < H
    at = row * H + unit
    at_r = row * 3 * H + unit
    h = tl.load(h_ptr + row * h_stride + unit, mask=inside)
    u_n = tl.load(u_n_ptr + at, mask=inside)
    r = tl.load(x_ptr + at_r, mask=inside)
    z = tl.load(x_ptr + at_r + H, mask=inside)
    n = tl.load(x_ptr + at_r + 2 * H, mask=inside)
    dh = tl.load(dh_ptr + at, mask=inside)
    kept = _kept(dh, mask_ptr, rate, at, inside)
    dh -= kept
    d_n = dh * (1 - z) * (1 - n * n)
    d_z = dh * (h - n) * z * (1 - z)
    d_r = d_n * u_n * r * (1 - r)
    tl.store(dx_ptr + at_r, d_r, mask=inside)
    tl.store(dx_ptr + at_r + H, d_z, mask=inside)
    tl.store(dx_ptr + at_r + 2 * H, d_n, mask=inside)
    tl.store(du_ptr + at_r, d_r, mask=inside)
    tl.store(du_ptr + at_r + H, d_z, mask=inside)
    tl.store(du_ptr + at_r + 2 * H, d_n * r, mask=inside)
    tl.store(dh_ptr + at, dh * z + kept, mask=inside)

"""A linear recurrence over all steps as one Triton kernel, for CUDA: an associative scan of one or two states a unit.

A program has some units and goes through time in tiles. Within a tile the steps are composed as in a scan; from tile to
tile a state is carried, so that no product is of more steps than a tile has. Only Triton's builtin functions are used,
so that the interpreter can run the kernel in the tests.
"""

# T time, S states of a unit, N units of all rows; in the kernels a_ij the entries of A, x and y the states

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 64, 16  # steps, units: as many as registers hold


def solve(A_SST: Tensor, b_ST: Tensor) -> Tensor:
    """Return the solution; see ``linear_recurrence.solve``."""
    states, steps = b_ST.shape[:2]
    A_SSTN, b_STN = A_SST.reshape(states, states, steps, -1).contiguous(), b_ST.reshape(states, steps, -1).contiguous()
    s_STN = torch.empty_like(b_STN)
    units = b_STN.shape[2]
    grid = (-(-units // TILE[1]),)
    scan = _scan_of_two if states == 2 else _scan_of_one
    with torch.cuda.device_of(b_STN):
        scan[grid](A_SSTN, b_STN, s_STN, steps, units, *TILE)
    return s_STN.view_as(b_ST)


@triton.jit(do_not_specialize=("T", "N"))
def _scan_of_one(A, b, s, T, N, BT: tl.constexpr, BN: tl.constexpr):
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    row = tl.arange(0, BT)[:, None]
    x = tl.full([BN], 0.0, s.dtype.element_ty)
    for start in range(0, T, BT):
        t = start + row
        at, inside = t.to(tl.int64) * N + n[None, :], (t < T) & (n[None, :] < N)
        a = tl.load(A + at, inside & (t > 0), 0.0)
        x_at = tl.load(b + at, inside, 0.0) + tl.where(row == 0, a * x[None, :], 0.0)
        _, x_at = tl.associative_scan((a, x_at), 0, _compose_one)
        tl.store(s + at, x_at, inside)
        x = tl.reduce(tl.where(row == BT - 1, x_at, 0.0), 0, _add)


@triton.jit(do_not_specialize=("T", "N"))
def _scan_of_two(A, b, s, T, N, BT: tl.constexpr, BN: tl.constexpr):
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    row = tl.arange(0, BT)[:, None]
    all_steps = T.to(tl.int64) * N
    x = tl.full([BN], 0.0, s.dtype.element_ty)
    y = tl.full([BN], 0.0, s.dtype.element_ty)
    for start in range(0, T, BT):
        t = start + row
        at, inside = t.to(tl.int64) * N + n[None, :], (t < T) & (n[None, :] < N)
        after_first = inside & (t > 0)  # A of the first step does not matter, and may be anything
        a_00 = tl.load(A + at, after_first, 0.0)
        a_01 = tl.load(A + all_steps + at, after_first, 0.0)
        a_10 = tl.load(A + 2 * all_steps + at, after_first, 0.0)
        a_11 = tl.load(A + 3 * all_steps + at, after_first, 0.0)
        x_at = tl.load(b + at, inside, 0.0)
        y_at = tl.load(b + all_steps + at, inside, 0.0)
        x_at += tl.where(row == 0, a_00 * x[None, :] + a_01 * y[None, :], 0.0)
        y_at += tl.where(row == 0, a_10 * x[None, :] + a_11 * y[None, :], 0.0)
        _, _, _, _, x_at, y_at = tl.associative_scan((a_00, a_01, a_10, a_11, x_at, y_at), 0, _compose_two)
        tl.store(s + at, x_at, inside)
        tl.store(s + all_steps + at, y_at, inside)
        x = tl.reduce(tl.where(row == BT - 1, x_at, 0.0), 0, _add)
        y = tl.reduce(tl.where(row == BT - 1, y_at, 0.0), 0, _add)


@triton.jit
def _compose_one(a, x, a_next, x_next):
    return a_next * a, a_next * x + x_next


@triton.jit
def _compose_two(a_00, a_01, a_10, a_11, x, y, n_00, n_01, n_10, n_11, x_next, y_next):
    return (
        n_00 * a_00 + n_01 * a_10,
        n_00 * a_01 + n_01 * a_11,
        n_10 * a_00 + n_11 * a_10,
        n_10 * a_01 + n_11 * a_11,
        n_00 * x + n_01 * y + x_next,
        n_10 * x + n_11 * y + y_next,
    )


@triton.jit
def _add(x, y):
    return x + y

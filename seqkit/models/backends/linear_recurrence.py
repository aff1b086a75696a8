"""A linear recurrence over all steps at once: s_t = A_t s_{t-1} + b_t by an associative scan (Blelloch 1990)."""

# T time, S states of a unit, which form a vector; any further axes (batch, units) are apart from each other

import logging
from functools import cache
from itertools import product

import torch
from torch import Tensor

from seqkit.models.backends.fused.trial import triton_failure

IN_TRITON = 1, 2
"""Numbers of states that Triton's kernel takes."""
LOG = logging.getLogger("seqkit")


def solve(A_SST: Tensor, b_ST: Tensor) -> Tensor:
    """Return s_0 = b_0 and s_t = A_t s_{t-1} + b_t of all steps.

    Args:
        A_SST: (S, S, T, ...); that of the first step does not matter.
        b_ST: (S, T, ...).
    """
    if b_ST.is_cuda and len(b_ST) in IN_TRITON and not _triton_fails(b_ST.device, b_ST.dtype):
        from seqkit.models.backends import triton_scan

        return triton_scan.solve(A_SST, b_ST)
    return solve_by_halves(A_SST, b_ST)


def solve_by_halves(A_SST: Tensor, b_ST: Tensor) -> Tensor:
    """Return the solution in 2 log2(T) rounds of elementwise operations; see ``solve``.

    Each two steps are composed into one, which leaves half as many; when these are solved, the others are one step away
    (cyclic reduction: about as much arithmetic as the loop, times S).
    """
    steps = b_ST.shape[1]
    if steps == 1:
        return b_ST
    pairs = steps // 2
    even_SST, odd_SST = A_SST[:, :, ::2], A_SST[:, :, 1::2]
    s_ST = torch.empty_like(b_ST)
    s_ST[:, 1::2] = solve_by_halves(
        _composed(odd_SST, even_SST[:, :, :pairs]), _next(odd_SST, b_ST[:, : 2 * pairs : 2], b_ST[:, 1::2])
    )
    s_ST[:, 0] = b_ST[:, 0]
    s_ST[:, 2::2] = _next(even_SST[:, :, 1:], s_ST[:, 1 : steps - 1 : 2], b_ST[:, 2::2])
    return s_ST


def solve_transposed(A_SST: Tensor, d_ST: Tensor) -> Tensor:
    """Return the solution of the transposed equations, g_t = d_t + A_{t+1}^T g_{t+1}: the gradient of ``solve`` by b.

    Products over many steps may leave the range of numbers where the loop does not; then the loop is taken.
    """
    back_SST = torch.empty_like(A_SST)
    back_SST[:, :, 1:] = A_SST.transpose(0, 1)[:, :, 1:].flip(2)
    d_ST = d_ST.flip(1)
    g_ST = solve(back_SST, d_ST)
    if not g_ST.isfinite().all():
        g_ST = d_ST.clone()
        for t in range(1, g_ST.shape[1]):
            g_ST[:, t] = _next(back_SST[:, :, t], g_ST[:, t - 1], d_ST[:, t])
    return g_ST.flip(1)


def _composed(A_SS: Tensor, B_SS: Tensor) -> Tensor:
    """Return the product A B of each pair of matrices."""
    product_SS = A_SS[:, 0, None] * B_SS[None, 0]
    for k in range(1, len(A_SS)):
        product_SS.addcmul_(A_SS[:, k, None], B_SS[None, k])
    return product_SS


def _next(A_SS: Tensor, s_S: Tensor, b_S: Tensor) -> Tensor:
    """Return A s + b."""
    for k in range(len(A_SS)):
        b_S = torch.addcmul(b_S, A_SS[:, k], s_S[k])
    return b_S


@cache
def _triton_fails(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether Triton's kernel cannot be used on this device, found by a trial on a few steps; it is said why."""
    reason = triton_failure(lambda: _try_triton(device, dtype))
    if reason:
        LOG.warning(f"the parallel backend solves its recurrences in torch: {reason}")
    return bool(reason)


def _try_triton(device: torch.device, dtype: torch.dtype) -> None:
    from seqkit.models.backends import triton_scan

    draw = torch.Generator().manual_seed(0)
    for states, steps in product(IN_TRITON, (1, 131)):
        A_SST = (torch.randn(states, states, steps, 20, generator=draw) / 2).to(device, dtype)
        b_ST = torch.randn(states, steps, 20, generator=draw).to(device, dtype)
        torch.testing.assert_close(triton_scan.solve(A_SST, b_ST), solve_by_halves(A_SST, b_ST), rtol=1e-3, atol=1e-3)

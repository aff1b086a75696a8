"""Quantile functions that torch does not have, by inverting a distribution function on a grid."""

# N distributions, K points of a grid, Q levels

from collections.abc import Sequence
from math import pi

import torch
from torch import Tensor

POINTS = 1000
"""Of the grid for Student's t: four digits and more."""
COUNTS = 400
"""Of the grid for counts; exact where the 12 standard deviations that it covers are about 40 counts or fewer."""
AT_ONCE = 2**14
"""Distributions of counts whose grids are held at once."""


def student_t_quantiles(freedom: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the quantiles (..., Q) of standard distributions with so many degrees of freedom (...), 1 or more.

    With x = sqrt(freedom) tan(angle), the density of the angle is proportional to cos(angle)^(freedom - 1).
    """
    freedom_N1 = freedom.double().reshape(-1, 1)
    levels_Q = freedom_N1.new_tensor(levels)
    angles_K = pi / 2 * torch.linspace(0, 1, POINTS, dtype=torch.float64, device=freedom.device).square()
    density_NK = angles_K.cos().clamp(min=1e-30) ** (freedom_N1 - 1)
    mass_NK = (density_NK[:, 1:] + density_NK[:, :-1]) / 2 * angles_K.diff()
    share_NK = torch.nn.functional.pad(mass_NK.cumsum(-1), (1, 0))
    share_NK = share_NK / share_NK[:, -1:] / 2  # between 0 and x, of positive x
    angles_NQ = _inverse(share_NK, angles_K.expand_as(share_NK), (levels_Q - 0.5).abs().expand(len(freedom_N1), -1))
    return ((levels_Q - 0.5).sign() * freedom_N1.sqrt() * angles_NQ.tan()).view(*freedom.shape, -1)


def negative_binomial_quantiles(mean: Tensor, dispersion: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the quantiles (..., Q) of negative binomials with variance ``mean + dispersion * mean^2``.

    The grid is dense near zero; between its points the probabilities are summed by the trapezoidal rule.
    """
    parts = zip(mean.double().flatten().split(AT_ONCE), dispersion.double().flatten().split(AT_ONCE), strict=True)
    return torch.cat([_count_quantiles(*part, levels) for part in parts]).view(*mean.shape, -1)


def _count_quantiles(mean_N: Tensor, dispersion_N: Tensor, levels: Sequence[float]) -> Tensor:
    largest_N1 = (mean_N + 12 * (mean_N + dispersion_N * mean_N**2).sqrt() + 12)[:, None]
    rise_K = torch.linspace(0, 1, COUNTS, dtype=torch.float64, device=mean_N.device) ** 3
    counts_NK = (largest_N1 * rise_K).ceil()
    failures_N1, odds_N1 = 1 / dispersion_N[:, None], (mean_N * dispersion_N)[:, None]
    logarithm_NK = (
        torch.lgamma(counts_NK + failures_N1)
        - torch.lgamma(failures_N1)
        - torch.lgamma(counts_NK + 1)
        + counts_NK * (odds_N1 / (1 + odds_N1)).log()
        - failures_N1 * torch.log1p(odds_N1)
    )
    one_NK = logarithm_NK.exp()
    low_NK, high_NK = one_NK[:, :-1], one_NK[:, 1:]
    between_NK = counts_NK.diff() * (low_NK + high_NK) / 2 + (high_NK - low_NK) / 2
    total_NK = torch.cat((one_NK[:, :1], between_NK), 1).cumsum(1)
    levels_NQ = mean_N.new_tensor(levels).expand(len(mean_N), -1)
    return _inverse(total_NK / total_NK[:, -1:], counts_NK, levels_NQ).sub(1e-9).ceil().clamp(min=0)


def _inverse(function_NK: Tensor, points_NK: Tensor, values_NQ: Tensor) -> Tensor:
    """Return where a rising function has these values, by linear interpolation; its ends beyond."""
    above_NQ = torch.searchsorted(function_NK, values_NQ.contiguous()).clamp(1, function_NK.shape[1] - 1)
    (low_NQ, high_NQ), (start_NQ, end_NQ) = (
        (table_NK.gather(1, above_NQ - 1), table_NK.gather(1, above_NQ)) for table_NK in (function_NK, points_NK)
    )
    share_NQ = ((values_NQ - low_NQ) / (high_NQ - low_NQ).clamp(min=1e-300)).clamp(0, 1)
    return torch.lerp(start_NQ, end_NQ, share_NQ)

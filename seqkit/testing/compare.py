"""Comparison of two results that should be the same but for rounding."""

import torch
from torch import Tensor

from seqkit.testing.check import CheckError

TOLERANCE = 1e-4
"""Largest relative difference that is rounding in float32; a fault in a component is far above it."""


def difference(found: Tensor, due: Tensor) -> float:
    """Return the largest difference of two tensors, relative to the largest value due where that is above 1.

    NaN differs from everything by infinity. Raises ``CheckError`` where the shapes differ.
    """
    if found.shape != due.shape:
        raise CheckError(f"shape {tuple(found.shape)}, not {tuple(due.shape)}")
    if not due.numel():
        return 0.0
    found, due = found.detach().double(), due.detach().double()
    return float(((found - due).abs().max() / due.abs().max().clamp(min=1)).nan_to_num(torch.inf))


def largest(found: tuple[Tensor, ...], due: tuple[Tensor, ...]) -> float:
    """Return the largest difference of two tuples of tensors, 0 where they are empty."""
    if len(found) != len(due):
        raise CheckError(f"{len(found)} tensors, not {len(due)}")
    return max((difference(one, other) for one, other in zip(found, due, strict=True)), default=0.0)

"""Zoneout (Krueger et al. 2017): units of a state that keep their old value for a step."""

# T time, B batch, H hidden

import torch
from torch import Tensor

Kept = float | Tensor | None
"""What a state keeps: the units at which steps (bool TBH), in evaluation the share of every unit, None for nothing."""


def draw(probability: float, shape: tuple[int, ...], training: bool, device: torch.device) -> Kept:
    """Return what is kept over a sequence of ``shape`` (T, B, H)."""
    if probability == 0:
        return None
    return torch.rand(shape, device=device) < probability if training else probability


def mix(kept: Kept, t: int, new_BH: Tensor, old_BH: Tensor) -> Tensor:
    """Return a state after step ``t``."""
    if kept is None:
        return new_BH
    return torch.lerp(new_BH, old_BH, kept) if isinstance(kept, float) else torch.where(kept[t], old_BH, new_BH)

"""Zoneout (Krueger et al. 2017): units of a state that keep their old value for a step."""

# T time, B batch, H hidden

import torch
from torch import Tensor

ZoneoutMask = float | Tensor | None
"""Zoneout of a state: in training True where a unit keeps its old value (bool TBH), in evaluation the expected share of
the old value in every unit, None for no zoneout."""


def zoneout_mask(probability: float, shape: tuple[int, ...], training: bool, device: torch.device) -> ZoneoutMask:
    """Draw the zoneout mask of a sequence of ``shape`` (T, B, H)."""
    if probability == 0:
        return None
    return torch.rand(shape, device=device) < probability if training else probability


def apply_zoneout(mask: ZoneoutMask, t: int | slice, new_BH: Tensor, old_BH: Tensor) -> Tensor:
    """Return a state after step ``t``, or after several."""
    if mask is None:
        return new_BH
    return torch.lerp(new_BH, old_BH, mask) if isinstance(mask, float) else torch.where(mask[t], old_BH, new_BH)

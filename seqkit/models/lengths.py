"""Sequences of different lengths in one batch, padded at the end."""

# T time, B batch, H hidden

import torch
from torch import Tensor


def reverse(x_TBH: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Turn each sequence around within its own length; the padding stays where it is."""
    if lengths_B is None:
        return x_TBH.flip(0)
    t_T1 = torch.arange(len(x_TBH), device=x_TBH.device)[:, None]
    from_TB = torch.where(t_T1 < lengths_B, lengths_B - 1 - t_T1, t_T1)
    return x_TBH.gather(0, from_TB[:, :, None].expand_as(x_TBH))


def after_last(part_TBH: Tensor, lengths_B: Tensor | None, initial_BH: Tensor) -> Tensor:
    """Pick a state after each row's last valid step out of its values after every step.

    So a loop may run on beyond the end of a row, on whatever the padding holds: nothing before it changes, and no
    step needs a mask.
    """
    if lengths_B is None:
        return part_TBH[-1]
    rows_B = torch.arange(len(lengths_B), device=part_TBH.device)
    last_BH = part_TBH[(lengths_B - 1).clamp(min=0), rows_B]
    return torch.where((lengths_B > 0)[:, None], last_BH, initial_BH)

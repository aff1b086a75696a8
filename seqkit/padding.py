"""Padding and lengths: rows of different lengths as one tensor, and the steps of it that are valid."""

# B batch, T time, H features of a step

from collections.abc import Sequence

import torch
from torch import Tensor


def pad(rows: Sequence[Tensor], value: float = 0) -> tuple[Tensor, Tensor | None]:
    """Stack rows of different lengths, padding at the end.

    Args:
        rows: B tensors (T_b, ...), alike but for their first axis.
        value: Padding value.

    Returns:
        The stack (B, T, ...) and the lengths (B,), or None for the lengths where all are the same.
    """
    lengths = torch.tensor([len(row) for row in rows])
    if bool((lengths == lengths[0]).all()):
        return torch.stack(list(rows)), None
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value), lengths


def stacked(parts: Sequence[Tensor]) -> Tensor:
    """Return tensors of one shape along a new first axis; a single one as a view."""
    return torch.stack(list(parts)) if len(parts) > 1 else parts[0][None]


def valid(lengths_B: Tensor | None, like_BT: Tensor) -> Tensor:
    """Return mask_BT, True at the valid steps of ``like_BT`` (B, T, ...)."""
    rows, steps = like_BT.shape[:2]
    if lengths_B is None:
        return torch.ones(rows, steps, dtype=torch.bool, device=like_BT.device)
    return torch.arange(steps, device=like_BT.device) < lengths_B[:, None]


def last_valid(y_BTH: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Return y_BH, the values at the last valid step of each row."""
    if lengths_B is None:
        return y_BTH[:, -1]
    return y_BTH[torch.arange(len(y_BTH), device=y_BTH.device), lengths_B - 1]


def sequence_summary(y_BTH: Tensor, lengths_B: Tensor | None, causal: bool) -> Tensor:
    """Return summary_BH, where each direction of a model has read the whole sequence.

    Args:
        y_BTH: Output of a model; of a bidirectional one the forward direction is the first half of H.
        lengths_B: Valid steps of each row, None where all are.
        causal: Whether the model is unidirectional, so that the last valid step is the summary; else it is the forward
            direction at the last valid step and the backward direction at the first.
    """
    last_BH = last_valid(y_BTH, lengths_B)
    if causal:
        return last_BH
    half = y_BTH.shape[2] // 2
    return torch.cat((last_BH[:, :half], y_BTH[:, 0, half:]), 1)


def reverse(x_TBH: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Return each sequence reversed within its own length; the padding stays where it is."""
    if lengths_B is None:
        return x_TBH.flip(0)
    t_T1 = torch.arange(len(x_TBH), device=x_TBH.device)[:, None]
    from_TB = torch.where(t_T1 < lengths_B, lengths_B - 1 - t_T1, t_T1)
    return x_TBH.gather(0, beside(from_TB, x_TBH).expand_as(x_TBH))


def after_last(part_TBH: Tensor, lengths_B: Tensor | None, initial_BH: Tensor) -> Tensor:
    """Return a state after each row's last valid step, from its values after every step.

    So a loop over time may run on into the padding, and no step needs a mask.
    """
    if lengths_B is None:
        return part_TBH[-1]
    rows_B = torch.arange(len(lengths_B), device=part_TBH.device)
    last_BH = part_TBH[(lengths_B - 1).clamp(min=0), rows_B]
    return torch.where(beside(lengths_B > 0, last_BH), last_BH, initial_BH)


def beside(mask: Tensor, values: Tensor) -> Tensor:
    """Return ``mask`` with axes of size 1 at its end, as many as ``values`` has further axes."""
    return mask.view(*mask.shape, *[1] * (values.dim() - mask.dim()))

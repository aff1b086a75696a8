"""Chunks of a stream, as tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqkit.errors import DataError


def as_chunk(chunk: Any, row: tuple[int, ...], due: str) -> Tensor:
    """Return a chunk of a stream as a tensor (T, *row); T may be 0.

    Args:
        chunk: A tensor, an array or a list; also a single step, and of a single quantity its values alone.
        row: Shape of a step.
        due: What a chunk must be, for the refusal.

    Raises:
        DataError: It is something else.
    """
    try:
        values = torch.as_tensor(chunk if isinstance(chunk, Tensor) else np.array(chunk, order="C"))
    except (TypeError, ValueError, RuntimeError):
        raise DataError(f"a chunk must be {due}; this one is of type {type(chunk).__name__}") from None
    if not values.numel():
        return torch.empty(0, *row)
    if values.shape == row:
        values = values[None]
    elif row == (1,) and values.dim() < 2:
        values = values.reshape(-1, 1)
    if values.dim() != 1 + len(row) or values.shape[1:] != row:
        raise DataError(f"a chunk must be {due}; this one has shape {tuple(values.shape)}")
    return values


def as_numbers(chunk: Any, row: tuple[int, ...], due: str) -> Tensor:
    """Return a chunk of finite numbers as a float32 tensor (T, *row); otherwise as ``as_chunk``."""
    values = as_chunk(chunk, row, due)
    if values.is_complex() or not bool(values.float().isfinite().all()):
        raise DataError("the chunk holds values that are not numbers (NaN or infinity)")
    return values.float()

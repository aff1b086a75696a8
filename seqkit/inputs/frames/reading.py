"""Rows to predict from: the last ones of a table, or an array."""

# T time (rows), I numbers per frame

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqkit.errors import DataError


def read_array(source: Any, names: Sequence[str], lookback: int | None) -> Tensor:
    """Return the last ``lookback`` rows_TI of an array (T, I), or all of them; raises as ``last``."""
    rows_TI = torch.as_tensor(np.asarray(source), dtype=torch.float32)
    if rows_TI.ndim != 2 or rows_TI.shape[1] != len(names):
        shape = tuple(rows_TI.shape)
        raise DataError(f"the array has shape {shape}; expected (rows, {len(names)}): {', '.join(names)}")
    return last(rows_TI, lookback, "the array")


def last(rows_TI: Tensor, lookback: int | None, where: str) -> Tensor:
    """Return the last ``lookback`` rows, or all of them.

    Raises:
        DataError: There are too few, or some are no numbers.
    """
    if not bool(rows_TI.isfinite().all()):
        raise DataError(f"{where} holds values that are not numbers (NaN or infinity)")
    if lookback and len(rows_TI) < lookback:
        raise DataError(f"{where} has {len(rows_TI)} rows; the model was trained to read {lookback}")
    return rows_TI[-lookback:] if lookback else rows_TI

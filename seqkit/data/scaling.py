"""Scaling of columns by their training part."""

# R rows, N columns

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from seqkit.inputs.frames.scaling import changing

Scaling = Literal["standard", "minmax", "robust"]


def fitted(path: Path, titles: Sequence[str], train_RN: np.ndarray, how: Scaling) -> tuple[np.ndarray, np.ndarray]:
    """Return what is subtracted from each column and what it is divided by, (N,).

    Args:
        path: Of the file, for refusals.
        titles: Of the columns, for refusals: "column 'load'".
        train_RN: Rows of the training part.
        how: Mean and population standard deviation (standard), smallest value and range (minmax), or median and
            quartile range (robust; the standard deviation where that range is 0). Of a column that never changes the
            second is 1.

    Raises:
        DataError: A column varies too little for single precision.
    """
    train = torch.from_numpy(train_RN)
    shift_N, scale_N = train.mean(0).numpy(), train.std(0, correction=0).numpy()
    if how == "minmax":
        shift_N, scale_N = train_RN.min(0), np.ptp(train_RN, 0)
    elif how == "robust":
        low_N, shift_N, high_N = np.quantile(train_RN, (0.25, 0.5, 0.75), axis=0)
        scale_N = np.where(high_N > low_N, high_N - low_N, scale_N)
    # A column that is constant up to rounding has no scale of its own; 1 keeps it at zero instead of blowing it up.
    largest_N = np.abs(train_RN).max(0)
    return shift_N, np.where(changing(path, titles, largest_N, scale_N), scale_N, 1.0)

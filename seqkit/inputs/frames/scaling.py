"""Scaling by the window alone (instance normalisation), or by the rows of one series."""

# B batch, T time, C columns, R rows, N columns of numbers

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from seqkit.errors import DataError, shortened
from seqkit.inputs.frames.tables import Table
from seqkit.padding import beside, valid

Transform = Literal["none", "log", "difference"]

SMALLEST = 1e-3  # deviation of a window, as a part of its size, below which the window counts as constant


def transformed(values_BTC: Tensor, how: Transform) -> Tensor:
    """Return logarithms of values, or their differences from the step before, of which the first is 0."""
    if how == "log":
        return values_BTC.log()
    if how == "difference":
        return torch.cat((torch.zeros_like(values_BTC[:, :1]), values_BTC.diff(dim=1)), 1)
    return values_BTC


def window_mean_and_scale(
    values_BTC: Tensor, lengths_B: Tensor | None, usual_C: Tensor, how: Transform = "none"
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each column over the valid steps of each row, (B, C).

    RevIN of Kim et al. 2022, "Reversible instance normalization for accurate time-series forecasting", without its
    learned part. A column that does not change has the size of its mean as its scale, or, where it is zero
    throughout, the usual one. Of logarithms, whose mean moves with the unit of measure, the size is 1: a difference of
    1 between them is one as large as the values.

    Args:
        values_BTC: In the units of the data, or what they are transformed to.
        lengths_B: Valid steps of each row, None where all are.
        usual_C: Scale of each column in the training part.
        how: What the values have been transformed by.
    """
    mask_BT1 = beside(valid(lengths_B, values_BTC), values_BTC)
    count_B1 = mask_BT1.sum(1).clamp(min=1)
    mean_BC = torch.where(mask_BT1, values_BTC, 0.0).sum(1) / count_B1
    deviation_BTC = torch.where(mask_BT1, values_BTC - mean_BC[:, None], 0.0)
    scale_BC = (deviation_BTC.square().sum(1) / count_B1).sqrt()
    size_BC = torch.ones_like(mean_BC) if how == "log" else mean_BC.abs()
    constant_BC = torch.where(size_BC > 0, size_BC, usual_C.to(size_BC))
    return mean_BC, torch.where(scale_BC > SMALLEST * size_BC, scale_BC, constant_BC)


def own_mean_and_scale(
    table: Table, series: str, names: Sequence[str], usual_N: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and population standard deviation of some columns over the rows of one series; empty cells are none.

    A column that never changes has the size of its mean as its scale, or, where it is zero throughout, the usual one.

    Args:
        table: The rows.
        series: Its name, for a refusal.
        names: Of the N columns.
        usual_N: Scale of each in the training part.

    Raises:
        DataError: A column varies too little for single precision.
    """
    values_RN = table.values_RN[:, [table.names.index(name) for name in names]]
    mean_N, scale_N = np.nanmean(values_RN, 0), np.nanstd(values_RN, 0)
    where = f"{table.path}, series '{shortened(series)}'"
    changes_N = changing(
        where, [f"column '{table.title(name)}'" for name in names], np.nanmax(np.abs(values_RN), 0), scale_N
    )
    size_N = np.where(mean_N != 0, np.abs(mean_N), usual_N)
    return tuple(mean_N.tolist()), tuple(np.where(changes_N, scale_N, size_N).tolist())


def changing(where: object, titles: Sequence[str], largest_N: np.ndarray, scale_N: np.ndarray) -> np.ndarray:
    """Return whether each column changes by more than rounding, (N,).

    Args:
        where: The columns are, for a refusal.
        titles: Of the columns: "column 'load'".
        largest_N: Size of their largest values.
        scale_N: By how much they vary.

    Raises:
        DataError: A column varies too little for single precision.
    """
    changes_N: np.ndarray = scale_N > 1e-12 * largest_N
    little_N = changes_N & (scale_N < 1e-5 * largest_N)
    if little_N.any():
        column = int(little_N.argmax())
        raise DataError(
            f"{where}, {titles[column]}: varies by {scale_N[column]:g} around values as large as "
            f"{largest_N[column]:g}, too little for single precision. Subtract a constant from it"
        )
    return changes_N

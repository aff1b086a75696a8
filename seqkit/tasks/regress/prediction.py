"""Prediction of numbers per sequence."""

# B batch, C targets

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class NumberPrediction:
    """Numbers in the units of the data, values_BC."""

    values_BC: Tensor

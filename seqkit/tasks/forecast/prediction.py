"""Prediction of the next rows of a series."""

# B batch, F steps of the forecast (horizon), C target columns, Q quantiles

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class SeriesPrediction:
    """The next rows, in the units of the data.

    Attributes:
        values_BFC: One value per row and target: of a probabilistic head its mean or median.
        quantiles_BFCQ: Quantiles at ``levels``, rising; None where the head gives none.
        levels: Q probabilities.
    """

    values_BFC: Tensor
    quantiles_BFCQ: Tensor | None = None
    levels: tuple[float, ...] = ()

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


def interval_ends(levels: tuple[float, ...] | list[float]) -> tuple[int, int] | None:
    """Return the places of the two quantiles that bound the interval shown and scored: 90 % of the mass.

    Where these levels are not there the outermost two are taken, where they leave as much below as above; else None.
    """
    for low, high in ((0.05, 0.95), (levels[0], levels[-1]) if len(levels) > 1 else (0.05, 0.95)):
        if low in levels and high in levels and abs(low + high - 1) < 1e-9:
            return levels.index(low), levels.index(high)
    return None

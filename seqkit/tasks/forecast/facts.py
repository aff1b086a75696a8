"""What a series says of its targets: the unit of MASE and RMSSE, and whether they are counts."""

# R rows, C target columns

from torch import Tensor


def naive_errors(values_RC: Tensor, season: int | None) -> tuple[tuple[float, float], ...]:
    """Return the mean absolute and the root mean squared difference of rows one season apart, a pair per column.

    Hyndman and Koehler (2006), "Another look at measures of forecast accuracy".

    Args:
        values_RC: Rows of the training part.
        season: Rows of one period; 1, the last value, where there is none or the part is shorter than two.
    """
    period = season if season and len(values_RC) >= 2 * season else 1
    difference_RC = (values_RC[period:] - values_RC[:-period]).double()
    absolute_C, square_C = difference_RC.abs().mean(0), difference_RC.square().mean(0).sqrt()
    return tuple(zip(absolute_C.tolist(), square_C.tolist(), strict=True))


def are_counts(values_RC: Tensor) -> tuple[bool, ...]:
    """Whether each column holds whole numbers from 0 only."""
    return tuple(((values_RC >= 0) & (values_RC == values_RC.round())).all(0).tolist())

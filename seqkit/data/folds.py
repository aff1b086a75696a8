"""Folds of a backtest: the parts of a series moved on to an origin within its test part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seqkit.errors import ConfigError, DataError
from seqkit.inputs.frames.latest import texts
from seqkit.inputs.frames.times import Times


@dataclass(frozen=True)
class Origin:
    """Start of a forecast.

    Attributes:
        row: First row that is predicted, counted as the windows of the data count.
        time: Of that row as text, or its number where times are not known.
        series: Name of the series, where there are several.
    """

    row: int
    time: str
    series: str = ""


def check_fold(fold: Sequence[int] | None) -> None:
    """Refuse a fold that is none; raises ``ConfigError``."""
    if fold is not None and not (len(fold) == 2 and 0 <= fold[0] < fold[1]):
        raise ConfigError(
            f"data.fold=[{','.join(map(str, fold))}]: expected the number of the fold, from 0, and how many there are, "
            "as [0,5]"
        )


def folded(
    edges_S: Sequence[Sequence[int]],
    fold: Sequence[int] | None,
    train_rows: int | None,
    horizon: int,
    where: object,
    moments_S: Sequence[Any] = (),
) -> list[list[int]]:
    """Return the parts of each series in a fold: all before its origin, and the horizon after it as the test part.

    The first origin is the start of the test part, the last one leaves just the horizon behind it, in the series where
    that is latest; the others lie evenly between. The validation part keeps its length; the training part grows, up to
    ``train_rows``.

    Args:
        edges_S: Of each series the first row of each part and the row after the last one.
        fold: Number of the fold and how many there are; None leaves the test part as it is.
        train_rows: Rows of each training part that are kept, the last ones; None keeps all.
        horizon: Rows to predict.
        where: The file, for a refusal.
        moments_S: Of each series the times of its rows, for parts that start at the same time in all series; without,
            the test part of each has origins of its own.

    Raises:
        DataError: The longest test part has fewer places for origins than there are folds.
    """
    number, count = fold or (0, 1)
    moments_R, whole = None, max(edges_S, key=_test_rows)
    places = max(0, _test_rows(whole) - horizon + 1)
    if len(moments_S):
        moments_R, whole = _joined(edges_S, moments_S)
        last = [own[len(own) - horizon] for own in moments_S if len(own) >= horizon]
        places = max(0, int((moments_R <= max(last, default=-np.inf)).sum()) - whole[2])
    if fold and places < count:
        raise DataError(
            f"{where}: the test part has {_test_rows(whole):,} rows, so that a forecast of data.horizon={horizon} can "
            f"start at {places:,} of them. {count:,} origins need a larger test part (data.split)"
        )

    def moved(edge: Sequence[int], places: int) -> list[int]:
        """Return the starts of the validation and of the test part."""
        shift = number * max(places - 1, 0) // max(count - 1, 1)
        return [edge[1] + shift, edge[2] + shift]

    parts = []
    for series, edge in enumerate(edges_S):
        valid, test = moved(edge, _test_rows(edge) - horizon + 1)
        if fold and moments_R is not None:
            valid, test = (int((moments_S[series] < moments_R[row]).sum()) for row in moved(whole, places))
        kept = max(edge[0], valid - train_rows) if train_rows else edge[0]
        parts.append([kept, valid, test, min(test + horizon, edge[3]) if fold else edge[3]])
    return parts


def keep_last(values: Mapping[str, Any], gaps: Mapping[str, np.ndarray], border: int) -> None:
    """Fill gaps right before a border by the last value before them, in place, whatever lies behind it.

    Args:
        values: Columns of numbers (R,) by name; others than those with gaps stay.
        gaps: By name, whether a row of a column had a value before it was filled; the first row has one.
        border: A row.
    """
    for name, there_R in gaps.items():
        if name in values and 0 < border < len(there_R):
            last = int(np.flatnonzero(there_R[:border])[-1])
            values[name][last + 1 : border] = values[name][last]


def _test_rows(edge: Sequence[int]) -> int:
    return edge[3] - edge[2]


def _joined(edges_S: Sequence[Sequence[int]], moments_S: Sequence[Any]) -> tuple[Any, list[int]]:
    """Return the times that any of the series has, and the parts of these."""
    moments_R = np.unique(np.concatenate(moments_S))
    starts = []
    for part in (1, 2):
        first = [own[edge[part]] for own, edge in zip(moments_S, edges_S, strict=True) if edge[part] < len(own)]
        starts.append(min(first, default=moments_R[-1] + 1))
    return moments_R, [0, *np.searchsorted(moments_R, starts).tolist(), len(moments_R)]


def time_of(times: Times | None, row: int) -> str:
    """Return the time of a row as text, or its place in the series where times are not known."""
    if times is None:
        return f"row {row + 1:,}"
    moment_R = None if times.moment_R is None else times.moment_R[row : row + 1]
    return texts(replace(times, at_R=times.at_R[row : row + 1], moment_R=moment_R), times)[0]

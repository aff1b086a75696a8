"""Windows of series: the rows that a sample reads and predicts, and the parts that they are drawn from."""

# R rows of all series, below each other, I input columns, C target columns, K columns known ahead
# L look-back, F horizon, S series

from bisect import bisect_right
from collections.abc import Sequence
from copy import copy
from itertools import accumulate
from math import floor
from typing import cast

import torch
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.errors import ConfigError, DataError, shortened
from seqkit.inputs.frames.tables import Table
from seqkit.inputs.frames.times import moment

Sample = tuple[Tensor, Tensor, Tensor, int]
Parts = Sequence[float] | Sequence[int] | Sequence[str]
"""Three fractions, three row counts or two dates."""


class Windows(Dataset):
    """Samples (inputs_LI, targets_FC, known_FK, number of the series) in the units of the data; views if not mirrored.

    Args:
        values_RI: The columns that are read, of all series below each other.
        targets_RC: The columns that are predicted.
        known: Columns of ``values_RI`` that are known ahead.
        spans_S: Of each series the first row that may be predicted, and the first after those.
        lookback: Rows L before the first predicted one.
        horizon: Rows F to predict.
        stride: Rows between the starts of neighbouring windows.
        mirrored: Columns of ``values_RI`` of which the windows are followed by the same ones upside down, mirrored
            about the last row before the horizon, as are the targets; None for no such windows.
    """

    def __init__(
        self,
        values_RI: Tensor,
        targets_RC: Tensor,
        known: Sequence[int],
        spans_S: Sequence[tuple[int, int]],
        lookback: int,
        horizon: int,
        stride: int = 1,
        mirrored: Sequence[int] | None = None,
    ) -> None:
        self.values_RI = values_RI
        self.targets_RC = targets_RC
        self.known_RK = values_RI[:, list(known)]
        self.lookback = lookback
        self.horizon = horizon
        self.stride = stride
        self._span(spans_S)
        self.mirrored = mirrored is not None
        self.sign_I = torch.ones(values_RI.shape[1])  # -1 of a column that is mirrored
        self.sign_I[list(mirrored or ())] = -1

    def over(self, spans_S: Sequence[tuple[int, int]]) -> "Windows":
        """Return the windows of other rows; the values are shared."""
        other = copy(self)
        other._span(spans_S)
        return other

    def _span(self, spans_S: Sequence[tuple[int, int]]) -> None:
        self.starts = [range(first, end - self.horizon + 1, self.stride) for first, end in spans_S]
        self.ends = list(accumulate(len(starts) for starts in self.starts))  # windows up to the end of each series

    def __len__(self) -> int:
        return self.ends[-1] * (2 if self.mirrored else 1)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        upside_down, index = divmod(index, self.ends[-1])
        series = bisect_right(self.ends, index)
        start = self.starts[series][index - self.ends[series]]  # counted from the end
        ahead = slice(start, start + self.horizon)
        inputs_LI, targets_FC = self.values_RI[start - self.lookback : start], self.targets_RC[ahead]
        if upside_down:
            inputs_LI = (1 - self.sign_I) * self.values_RI[start - 1] + self.sign_I * inputs_LI
            targets_FC = 2 * self.targets_RC[start - 1] - targets_FC
        return inputs_LI, targets_FC, self.known_RK[ahead], series


def check_split(split: Parts, time_column: str | None) -> None:
    """Refuse a split that is none of the three ways; raises ``ConfigError``."""
    ways = "three fractions [0.7,0.1,0.2], three row counts [8640,2880,2880] or two dates [2017-07-01,2017-11-01]"
    given = f"data.split=[{','.join(str(item) for item in split)}]"
    if all(isinstance(item, str) for item in split) and len(split) == 2:
        try:
            dates = [_microseconds(cast(str, item)) for item in split]
        except ValueError:
            raise ConfigError(f"{given}: not ISO 8601 dates. Expected {ways}") from None
        if dates[0] >= dates[1]:
            raise ConfigError(f"{given}: the test part must start after the validation part")
        if time_column is None:
            raise ConfigError(f"{given}: a split by dates needs data.time_column")
        return
    if len(split) != 3 or any(isinstance(item, str) or not item > 0 for item in split):
        raise ConfigError(f"{given}: expected {ways}")
    if any(isinstance(item, float) for item in split) and sum(cast(Sequence[float], split)) > 1 + 1e-9:
        raise ConfigError(f"{given}: the fractions sum to {sum(cast(Sequence[float], split)):g}. Expected at most 1")


def edges(table: Table, split: Parts, name: str = "") -> list[int]:
    """Return the first row of each part of a series and the row after the last one.

    Args:
        table: The rows of the series.
        split: See ``Parts``.
        name: Of the series, for a refusal; empty where it is the only one.

    Raises:
        DataError: There are no dates to split by, or too few rows.
    """
    rows = len(table.values_RN)
    if isinstance(split[0], str):
        assert table.times is not None
        moment_R = table.times.moment_R
        if moment_R is None:
            raise DataError(
                f"{table.path}: column '{table.times.column}' holds numbers. data.split by dates needs dates"
            )
        return [0, *(int((moment_R < _microseconds(cast(str, date))).sum()) for date in split), rows]
    counts = [floor(item * rows + 1e-6) if isinstance(item, float) else item for item in cast(Sequence[float], split)]
    if isinstance(split[0], float) and abs(sum(cast(Sequence[float], split)) - 1) < 1e-9:
        counts[2] = rows - counts[0] - counts[1]  # fractions of all rows leave none over
    if sum(counts) > rows:
        whose = f"series '{shortened(name)}' has" if name else "has"
        raise DataError(f"{table.path}: {whose} {rows:,} rows. data.split takes {sum(counts):,}")
    return [0, counts[0], counts[0] + counts[1], sum(counts)]


def _microseconds(text: str) -> int:
    found = moment(text)
    if found is None:
        raise ValueError(text)
    return found

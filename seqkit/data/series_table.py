"""Tables of many series: windows of all of them for one model."""

# R rows of all series, below each other, I input columns, C target columns, K columns known ahead
# L look-back, F horizon, S series

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Literal

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import SPLITS, Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data.folds import Origin, check_fold, folded, time_of
from seqkit.data.ordering import Order, sequential, shuffled
from seqkit.data.scaling import Scaling, fitted
from seqkit.data.series import check_split, edges
from seqkit.errors import ConfigError, DataError
from seqkit.files import existing_file, sha256_of
from seqkit.inputs.delimited import Separator
from seqkit.inputs.frames import calendar as cycles
from seqkit.inputs.frames import tables
from seqkit.inputs.frames.calendar import Cycle
from seqkit.inputs.frames.decimals import Decimal
from seqkit.inputs.frames.long import LongTable, framed, listed, read_long
from seqkit.inputs.frames.spec import Frames, Role
from seqkit.inputs.frames.tables import Fill, Notation
from seqkit.registry import register_data
from seqkit.tasks.forecast.facts import are_counts, naive_errors
from seqkit.tasks.forecast.spec import Series

Sample = tuple[Tensor, Tensor, Tensor, int]


class SeriesWindows(Dataset):
    """Samples (inputs_LI, targets_FC, known_FK, number of the series): views, in the units of the data.

    Args:
        values_RI: Columns of all series, below each other.
        targets: Columns that are predicted.
        known: Columns that are known ahead.
        spans_S: Of each series the first row that may be predicted, and the first after those.
        lookback: Rows L before the first predicted one.
        horizon: Rows F to predict.
        stride: Rows between the starts of neighbouring windows.
    """

    def __init__(
        self,
        values_RI: Tensor,
        targets: Sequence[int],
        known: Sequence[int],
        spans_S: Sequence[tuple[int, int]],
        lookback: int,
        horizon: int,
        stride: int = 1,
    ) -> None:
        self.values_RI = values_RI
        self.targets_RC = values_RI[:, list(targets)]
        self.known_RK = values_RI[:, list(known)]
        self.lookback = lookback
        self.horizon = horizon
        self.starts = [range(first, end - horizon + 1, stride) for first, end in spans_S]
        self.ends = list(accumulate(len(starts) for starts in self.starts))  # windows up to the end of each series

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Sample:
        series = bisect_right(self.ends, index)
        start = self.starts[series][index - self.ends[series]]  # counted from the end
        ahead = slice(start, start + self.horizon)
        return self.values_RI[start - self.lookback : start], self.targets_RC[ahead], self.known_RK[ahead], series


@register_data("series_table")
class SeriesTable:
    """Your own CSV or Parquet file of many series, one row per series and step, for one model over all.

    The series may differ in scale, length and start. Each is cut into parts by itself, or all on the same dates; a
    series too short for a window of a part is left out of it. The model reads all columns named here; the targets are
    among them.

    Args:
        path: CSV file with a header line (also .csv.gz), or Parquet file.
        series: Column that names the series of each row.
        time_column: Column of ISO 8601 times or whole numbers; if left out, the rows of each series count as even.
        targets: Columns to predict.
        past: Further columns of numbers, known up to the last row read.
        known: Further columns of numbers that are known ahead, such as prices, promotions and holidays.
        static: Columns of numbers that are the same at every step of a series.
        categories: Columns of any text, the same at every step of a series; each text gets a learned vector. May name
            the column of the series itself.
        calendar: Columns made from the time and so known ahead: where a row stands in the day (hour), in the week
            (weekday), in the month (day), in the year (month, yearday).
        lookback: Rows the model reads before the first predicted one.
        horizon: Rows to predict.
        split: Training, validation and test part: three fractions of each series, or the two dates on which
            validation and test start.
        season: Rows of one period of the seasonal naive forecast; if left out, taken from the step of time_column: a
            day, a week of daily rows, a year of monthly ones.
        missing: What to do about empty cells and left-out rows: refuse, fill forward from the last value, or
            interpolate (a filled cell then knows the value after it).
        repeats: What to do about rows with the time of the row before in their series: refuse, or keep the first.
        scaling: By the window alone, its own mean and deviation for targets and past (window: for series of different
            scale, and new ones); or by the training part of all series, mean and deviation (standard), smallest value
            and range (minmax), median and quartile range (robust).
        train_rows: Last rows of the training part, of each series, that are trained on; all of it if left out.
        fold: Fold of a backtest and how many there are, [0,5]: all parts end at its origin; set by `seqkit backtest`.
        stride: Rows between the starts of neighbouring training windows.
        eval_stride: Likewise in validation and test.
        separator: Between the cells; found if left out.
        decimal: Decimal mark of the numbers; found if left out.
        date_format: Of the times, as %d/%m/%Y; found if left out.
        batch_size: Windows per batch.

    Raises:
        ConfigError: The options contradict each other.
        DataError: There is no such file.
    """

    def __init__(
        self,
        *,
        path: str,
        series: str,
        targets: list[str],
        time_column: str | None = None,
        past: list[str] = [],  # noqa: B006  none of these is ever written to
        known: list[str] = [],  # noqa: B006
        static: list[str] = [],  # noqa: B006
        categories: list[str] = [],  # noqa: B006
        calendar: list[Cycle] = [],  # noqa: B006
        lookback: PositiveInt = 96,
        horizon: PositiveInt = 24,
        split: list[float] | list[str] = [0.7, 0.1, 0.2],  # noqa: B006
        season: PositiveInt | None = None,
        missing: Fill = "refuse",
        repeats: Literal["refuse", "first"] = "refuse",
        scaling: Literal["window"] | Scaling = "window",
        train_rows: PositiveInt | None = None,
        fold: list[int] | None = None,
        stride: PositiveInt = 1,
        eval_stride: PositiveInt = 1,
        separator: Separator | None = None,
        decimal: Decimal | None = None,
        date_format: str | None = None,
        batch_size: PositiveInt = 64,
    ) -> None:
        self.path = existing_file(path, tables.FILE)
        check_split(split, time_column)
        check_fold(fold)
        if not targets:
            raise ConfigError("data.targets=[]: name at least one column to predict")
        roles = {"targets": targets, "past": past, "known": known, "static": static, "categories": categories}
        _check_columns(roles, series, time_column)
        if calendar and time_column is None:
            raise ConfigError(f"data.calendar=[{','.join(calendar)}] needs data.time_column")
        self.series = series
        self.time_column = time_column
        self.columns: dict[str, list[str]] = {**roles, "calendar": cycles.names(list(dict.fromkeys(calendar)))}
        self.lookback = lookback
        self.horizon = horizon
        self.split = split
        self.train_rows = train_rows
        self.fold = fold
        self.season = season
        self.missing: Fill = missing
        self.repeats: Literal["refuse", "first"] = repeats
        self.scaling = scaling
        self.stride = stride
        self.eval_stride = eval_stride
        self.notation = Notation(separator, decimal, date_format)
        self.batch_size = batch_size

    def setup(self) -> None:
        """Read the file and cut its series into parts.

        Raises:
            DataError: The file has not what the options name, or no series is long enough for a window of a part.
        """
        own = self.columns
        table = read_long(
            self.path,
            self.series,
            self.time_column,
            [*own["targets"], *own["past"], *own["known"]],
            own["static"],
            own["categories"],
            self.missing,
            self.repeats,
            notation=self.notation,
        )
        times = table.times
        if own["calendar"] and times is not None and times.moment_R is None:
            raise DataError(f"{self.path}: column '{times.column}' holds numbers. data.calendar needs dates")
        edges_S = [edges(one.table, self.split) for one in table.series]
        dated = isinstance(self.split[0], str)
        moments_S = [one.table.times.moment_R for one in table.series if dated and one.table.times]
        edges_S = folded(edges_S, self.fold, self.train_rows, self.horizon, self.path, moments_S)
        starts = list(accumulate((len(one.table.line_R) for one in table.series), initial=0))
        spans = {name: self._spans(number, starts, edges_S) for number, name in enumerate(SPLITS)}
        trained = [one for one, (first, end) in zip(table.series, spans["train"], strict=True) if first < end]
        if not trained:
            self._refuse_short(table, "train", max(last[1] for last in edges_S))

        by_role: dict[Role, list[str]] = {
            "past": [*own["targets"], *own["past"]],
            "known": own["known"],
            "calendar": own["calendar"],
            "static": [*own["static"], *own["categories"]],
        }
        names = tuple(name for group in by_role.values() for name in group)
        levels = {name: tuple(sorted({str(one.static[name]) for one in trained})) for name in own["categories"]}
        frames = Frames(
            names,
            (0.0,) * len(names),
            (1.0,) * len(names),
            rate=times.rate if times else None,
            time_column=self.time_column,
            missing=self.missing,
            repeats=self.repeats,
            separator=table.notation.separator,
            decimal=table.notation.decimal,
            date_format=table.notation.date_format,
            series=self.series,
            roles=tuple(role for role, group in by_role.items() for _ in group),
            levels=tuple(levels.get(name, ()) for name in names),
            window=self.scaling == "window",
        )
        values_RI = np.concatenate([framed(one, names, frames.roles, frames.levels) for one in table.series])
        train_R = np.zeros(len(values_RI), dtype=bool)
        for start, edge in zip(starts, edges_S, strict=False):
            train_R[start + edge[0] : start + edge[1]] = True
        numbers = [column for column, levels in enumerate(frames.levels) if not levels]
        mean_I, scale_I = np.zeros(len(names)), np.ones(len(names))
        how: Scaling = "standard" if self.scaling == "window" else self.scaling
        mean_I[numbers], scale_I[numbers] = fitted(
            self.path, [names[column] for column in numbers], values_RI[train_R][:, numbers], how
        )
        frames = replace(frames, mean=tuple(mean_I.tolist()), scale=tuple(scale_I.tolist()))

        columns = list(range(len(own["targets"])))
        known = frames.columns("known", "calendar")
        values = torch.from_numpy(values_RI).float()
        self._parts = {
            name: SeriesWindows(
                values,
                columns,
                known,
                spans[name],
                self.lookback,
                self.horizon,
                self.stride if name == "train" else self.eval_stride,
            )
            for name in SPLITS
        }
        for name in SPLITS:
            if not len(self._parts[name]):
                number = SPLITS.index(name)
                self._refuse_short(table, name, max(edge[number + 1] - edge[number] for edge in edges_S))
        season = self.season or (times.season if times else None)
        targets_RC = torch.from_numpy(values_RI[:, : len(columns)])
        self._naive_SC2 = torch.tensor(
            [
                naive_errors(targets_RC[at + edge[0] : at + edge[1]], season)
                for at, edge in zip(starts, edges_S, strict=False)
            ]
        )
        self.spec = DataSpec(
            frames,
            Series(
                self.horizon,
                tuple(own["targets"]),
                frames.mean[: len(columns)],
                frames.scale[: len(columns)],
                lookback=self.lookback,
                season=season,
                window=tuple(columns) if frames.window else (),
                counts=are_counts(targets_RC),
                members=tuple(one.name for one in table.series),
            ),
        )
        self.fingerprint = sha256_of([self.path])
        self.facts = self._describe(table, season, edges_S)
        self.origins = [
            Origin(row, time_of(one.table, row - at), one.name)
            for one, at, rows in zip(table.series, starts, self._parts["test"].starts, strict=False)
            for row in (rows if self.fold else ())
        ]

    def part(self, split: Split) -> Dataset:
        return self._parts[split]

    def collate(self, samples: Sequence[Sample]) -> Batch:
        inputs, targets, known, series = zip(*samples, strict=True)
        series_B = torch.tensor(series)
        extras = {"series": series_B, "naive": self._naive_SC2[series_B]}
        if known[0].shape[1]:
            extras["known"] = torch.stack(known)
        return Batch(torch.stack(inputs), targets=torch.stack(targets), extras=extras)

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Order:
        size = len(self._parts[split])
        return shuffled(size, batch_size, seed, epoch) if split == "train" else sequential(size, batch_size)

    def _spans(self, part: int, starts: Sequence[int], edges_S: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
        """Return of each series the first row that may be predicted in a part and the first after those."""
        spans = []
        for start, edge in zip(starts, edges_S, strict=False):
            first = max(edge[part], edge[0] + self.lookback)
            last = edge[part + 1] if edge[part + 1] - first >= self.horizon else first  # no row where no window fits
            spans.append((start + first, start + last))
        return spans

    def _refuse_short(self, table: LongTable, part: str, longest: int) -> None:
        needs = self.horizon + (self.lookback if part == "train" else 0)
        options = f"data.horizon={self.horizon}"
        options = f"data.lookback={self.lookback} and {options} need" if part == "train" else f"{options} needs"
        raise DataError(
            f"{self.path}: no series has a window in the {part} part; the longest has {longest:,} rows there. "
            f"{options} at least {needs:,}"
        )

    def _describe(self, table: LongTable, season: int | None, edges_S: Sequence[Sequence[int]]) -> dict[str, Any]:
        times = table.times
        lengths = sorted(len(one.table.line_R) for one in table.series)
        facts: dict[str, Any] = {
            "file": str(self.path),
            "rows": f"{table.rows:,}",
            "series": f"{len(table.series):,}, of {lengths[0]:,} to {lengths[-1]:,} rows",
        }
        if table.notation.words:
            facts["read as"] = table.notation.words
        if times:
            facts["step"] = times.distance(times.step)
        if season:
            facts["season"] = f"{season} rows, {'as given' if self.season else 'by the step'}"
        if self.missing != "refuse":
            facts["missing"] = (
                f"{table.filled:,} cells filled ({self.missing}), {table.added:,} rows put in for times left out"
            )
        if self.repeats != "refuse":
            facts["repeats"] = f"{table.repeated:,} left out"
        for number, name in enumerate(SPLITS):
            part = self._parts[name]
            rows = sum(edge[number + 1] - edge[number] for edge in edges_S)
            facts[name] = f"{rows:,} rows, {len(part):,} windows"
            short = [one.name for one, starts in zip(table.series, part.starts, strict=True) if not starts]
            if short:
                facts[name] += f"; none of {len(short):,} short series: {listed(short)}"
        return facts


def _check_columns(roles: dict[str, list[str]], series: str, time_column: str | None) -> None:
    """Refuse a column that is named for two things."""
    taken = {series: "series"}
    if time_column is not None:
        if time_column == series:
            raise ConfigError(f"data.time_column: column '{series}' is data.series; it cannot be both")
        taken[time_column] = "time_column"
    for option, names in roles.items():
        for name in names:
            if option == "categories" and taken.get(name) == "series":
                continue
            if taken.get(name) == option:
                raise ConfigError(f"data.{option}: column '{name}' is named twice")
            if name in taken:
                raise ConfigError(f"data.{option}: column '{name}' is data.{taken[name]} too; it cannot be both")
            taken[name] = option

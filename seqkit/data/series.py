"""Time series: windows of past rows to read and of the rows after them to predict."""

# R rows, I input columns, C target columns, L look-back, H horizon

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from logging import getLogger
from math import floor
from pathlib import Path
from typing import Any, Literal, cast

import torch
from pydantic import PositiveInt
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import SPLITS, Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data.folds import Origin, check_fold, folded, time_of
from seqkit.data.ordering import Order, sequential, shuffled
from seqkit.data.scaling import fitted
from seqkit.errors import ConfigError, DataError, shortened
from seqkit.files import existing_file, sha256_of
from seqkit.inputs.delimited import Separator
from seqkit.inputs.frames import tables
from seqkit.inputs.frames.decimals import Decimal
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.frames.tables import Fill, Notation, Table, fill, read_table, without_repeats
from seqkit.inputs.frames.times import microseconds
from seqkit.registry import register_data
from seqkit.tasks.forecast.facts import are_counts, naive_errors
from seqkit.tasks.forecast.spec import Series

SAMPLE = Path(__file__).parent / "samples" / "sea_temperature.csv.gz"


class Windows(Dataset):
    """Pairs (inputs_LI, targets_HC) of neighbouring rows: views, in the units of the data.

    Args:
        values_RI: The columns that are read.
        targets_RC: The columns that are predicted.
        rows: First row that may be predicted, and the first after those.
        lookback: Rows L before the first predicted one.
        horizon: Rows H to predict.
        stride: Rows between the starts of neighbouring windows.
        mirror: Follow the windows by the same ones upside down, mirrored about the last row before the horizon.
    """

    def __init__(
        self,
        values_RI: Tensor,
        targets_RC: Tensor,
        rows: tuple[int, int],
        lookback: int,
        horizon: int,
        stride: int = 1,
        mirror: bool = False,
    ) -> None:
        self.values_RI = values_RI
        self.targets_RC = targets_RC
        self.lookback = lookback
        self.horizon = horizon
        self.starts = range(rows[0], rows[1] - horizon + 1, stride)  # first predicted row of each window
        self.mirror = mirror

    def __len__(self) -> int:
        return len(self.starts) * (2 if self.mirror else 1)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        upside_down, index = divmod(index, len(self.starts))
        start = self.starts[index]
        inputs_LI = self.values_RI[start - self.lookback : start]
        targets_HC = self.targets_RC[start : start + self.horizon]
        if not upside_down:
            return inputs_LI, targets_HC
        return 2 * self.values_RI[start - 1] - inputs_LI, 2 * self.targets_RC[start - 1] - targets_HC


@register_data("series_csv")
class SeriesCsv:
    """Your own CSV or Parquet file: one row a time step, one column a quantity.

    The evaluation parts predict every one of their windows (stride 1) and read back over their border by the
    look-back. Mean and scale are those of the training part; the scale is the population standard deviation, 1 for
    a column that never changes there.

    Args:
        path: CSV or TSV file with a header line (also .csv.gz), Parquet file, or Excel workbook of one sheet.
        time_column: Column of times or whole numbers, to check that steps are even and to split by date.
        targets: Columns to predict; all columns of numbers if left out.
        inputs: Columns the model reads; all columns of numbers if left out.
        lookback: Rows the model reads before the first predicted one.
        horizon: Rows to predict.
        split: Training, validation and test part: three fractions, three row counts, or the two dates on which
            validation and test start.
        season: Rows of one period of the seasonal naive forecast; if left out, taken from the step of time_column: a
            day, a week of daily rows, a year of monthly ones.
        missing: What to do about empty cells and left-out rows: refuse, fill forward from the last value, or
            interpolate (a filled cell then knows the value after it).
        repeats: What to do about rows with the time of the row before: refuse, or keep the first.
        train_rows: Last rows of the training part, of each series, that are trained on; all of it if left out.
        fold: Fold of a backtest and how many there are, [0,5]: all parts end at its origin; set by `seqkit backtest`.
        stride: Rows between the starts of neighbouring training windows.
        mirror: Also train on every window upside down, mirrored about its last row before the horizon, so that no
            drift of the training part is learnt as a rule.
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
        time_column: str | None = None,
        targets: list[str] | None = None,
        inputs: list[str] | None = None,
        lookback: PositiveInt = 96,
        horizon: PositiveInt = 24,
        split: list[float] | list[int] | list[str] = [0.7, 0.1, 0.2],  # noqa: B006  never written to
        season: PositiveInt | None = None,
        missing: Fill = "refuse",
        repeats: Literal["refuse", "first"] = "refuse",
        train_rows: PositiveInt | None = None,
        fold: list[int] | None = None,
        stride: PositiveInt = 1,
        mirror: bool = False,
        separator: Separator | None = None,
        decimal: Decimal | None = None,
        date_format: str | None = None,
        batch_size: PositiveInt = 64,
    ) -> None:
        self.path = existing_file(path, tables.FILE)
        check_split(split, time_column)
        check_fold(fold)
        for option, names in (("targets", targets), ("inputs", inputs)):
            _check_columns(option, names, time_column)
        self.time_column = time_column
        self.targets = targets
        self.inputs = inputs
        self.lookback = lookback
        self.horizon = horizon
        self.split = split
        self.train_rows = train_rows
        self.fold = fold
        self.season = season
        self.missing = missing
        self.repeats = repeats
        self.stride = stride
        self.mirror = mirror
        self.notation = Notation(separator, decimal, date_format)
        self.batch_size = batch_size

    def setup(self) -> None:
        """Read the file and cut it into parts.

        Raises:
            DataError: The file has not what the options name, or a part is too short for one window.
        """
        wanted = [*(self.targets or ()), *(self.inputs or ())]
        others = self.targets is None or self.inputs is None
        table = read_table(self.path, self.time_column, wanted, others, self.notation)
        inputs, targets = (_columns(table, names) for names in (self.inputs, self.targets))
        found = len(table.values_RN)
        table, repeated = without_repeats(table) if self.repeats == "first" else (table, 0)
        table, filled = fill(table, self.missing)
        (bounds,) = folded([edges(table, self.split)], self.fold, self.train_rows, self.horizon, self.path)
        parts = dict(zip(SPLITS, pairwise(bounds), strict=True))
        for name, (start, end) in parts.items():
            self._check_rows(name, end - start)

        values_RN = torch.from_numpy(table.values_RN)
        _check_changing(table, targets, bounds[1])
        mean_N, scale_N = fitted(self.path, table.names, table.values_RN[slice(*bounds[:2])], "standard")
        self._parts = {
            name: Windows(
                values_RN[:, inputs].float(),
                values_RN[:, targets].float(),
                (start + self.lookback if name == "train" else start, end),
                self.lookback,
                self.horizon,
                self.stride if name == "train" else 1,
                self.mirror and name == "train",
            )
            for name, (start, end) in parts.items()
        }
        times = table.times
        season = self.season or (times.season if times else None)

        def named(columns: list[int]) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
            """Return names, means and scales."""
            names = tuple(table.names[column] for column in columns)
            return names, tuple(mean_N[columns].tolist()), tuple(scale_N[columns].tolist())

        self.spec = DataSpec(
            Frames(
                *named(inputs),
                rate=times.rate if times else None,
                time_column=self.time_column,
                missing=self.missing,
                repeats=self.repeats,
                separator=table.notation.separator,
                decimal=table.notation.decimal,
                date_format=table.notation.date_format,
            ),
            Series(
                self.horizon,
                *named(targets),
                lookback=self.lookback,
                season=season,
                naive=naive_errors(values_RN[slice(*bounds[:2])][:, targets], season),
                counts=are_counts(values_RN[:, targets]),
            ),
        )
        self.fingerprint = sha256_of([self.path])
        self.facts = self._describe(found, repeated, table, filled, season)
        starts = self._parts["test"].starts
        self.origins = [Origin(row, time_of(table, row)) for row in starts] if self.fold else []
        for name, (start, end) in parts.items():
            mirrored = ", half of them mirrored" if self.mirror and name == "train" else ""
            self.facts[name] = f"{end - start:,} rows, {len(self._parts[name]):,} windows{mirrored}"

    def part(self, split: Split) -> Dataset:
        return self._parts[split]

    def collate(self, samples: Sequence[tuple[Tensor, Tensor]]) -> Batch:
        inputs, targets = zip(*samples, strict=True)
        return Batch(torch.stack(inputs), targets=torch.stack(targets))

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Order:
        size = len(self._parts[split])
        return shuffled(size, batch_size, seed, epoch) if split == "train" else sequential(size, batch_size)

    def _check_rows(self, name: str, rows: int) -> None:
        needs = self.horizon + (self.lookback if name == "train" else 0)
        if rows < needs:
            horizon = f"data.horizon={self.horizon} needs"
            asks = f"data.lookback={self.lookback} and data.horizon={self.horizon} need" if name == "train" else horizon
            raise DataError(f"{self.path}: the {name} part has {rows:,} rows. {asks} at least {needs:,}")

    def _describe(self, found: int, repeated: int, table: Table, filled: int, season: int | None) -> dict[str, Any]:
        times = table.times
        facts: dict[str, Any] = {"file": str(self.path), "rows": f"{found:,}"}
        if table.notation.words:
            facts["read as"] = table.notation.words
        if times:
            facts["step"] = times.distance(times.step)
        if season:
            facts["season"] = f"{season} rows, {'as given' if self.season else 'by the step'}"
        if self.missing != "refuse":
            added = len(table.values_RN) - found + repeated
            facts["missing"] = f"{filled:,} cells filled ({self.missing}), {added:,} rows put in for times left out"
        if self.repeats != "refuse":
            facts["repeats"] = f"{repeated:,} left out"
        if table.text:
            facts["left out"] = f"columns without numbers: {', '.join(table.text)}"
        return facts


@register_data("sea_temperature")
def sea_temperature(
    *,
    lookback: PositiveInt = 336,
    horizon: PositiveInt = 24,
    split: list[float] | list[int] | list[str] = [0.4, 0.1, 0.5],  # noqa: B006  never written to
    season: PositiveInt = 48,
    train_rows: PositiveInt | None = None,
    fold: list[int] | None = None,
    stride: PositiveInt = 1,
    mirror: bool = False,
    batch_size: PositiveInt = 64,
) -> SeriesCsv:
    """Sea surface temperature off Maine: 19,226 half-hourly readings of 2016 and 2017, shipped with seqkit.

    Station B01, Western Maine Shelf, of NERACOOS; free to use and redistribute, see
    ``seqkit/data/samples/sea_temperature.LICENSE.txt``. 24 half hours have no reading (14 June 2016 at 13:30, 8 July
    2016 from 02:00 to 13:00), all in the training part by default: they are interpolated. Of the two readings at 16:30
    on 21 March 2017 the first is kept.

    Half of the rows are for testing, so that autumn is among them: in winter the water is mixed, and hardly anything
    predicts its temperature better than the last reading.

    Args:
        lookback: Half hours the model reads before the first predicted one.
        horizon: Half hours to predict.
        split: Training, validation and test part: three fractions, three row counts, or the two dates on which
            validation and test start.
        season: Half hours of one period of the seasonal naive forecast.
        train_rows: Last half hours of the training part that are trained on; all of it if left out.
        fold: Fold of a backtest and how many there are, [0,5]: all parts end at its origin; set by `seqkit backtest`.
        stride: Half hours between the starts of neighbouring training windows.
        mirror: Also train on every window upside down, so that the warming of spring is not learnt as a rule.
        batch_size: Windows per batch.
    """
    return SeriesCsv(
        path=str(SAMPLE),
        time_column="time (UTC)",
        lookback=lookback,
        horizon=horizon,
        split=split,
        season=season,
        missing="interpolate",
        repeats="first",
        train_rows=train_rows,
        fold=fold,
        stride=stride,
        mirror=mirror,
        batch_size=batch_size,
    )


def _check_columns(option: str, names: list[str] | None, time_column: str | None) -> None:
    if names is None:
        return
    if not names:
        raise ConfigError(f"data.{option}=[]: name at least one column, or leave it out for all columns of numbers")
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ConfigError(f"data.{option}: column '{repeated[0]}' is named twice")
    if time_column in names:
        raise ConfigError(f"data.{option}: column '{time_column}' is data.time_column; it cannot be both")


def check_split(split: Sequence[float] | Sequence[int] | Sequence[str], time_column: str | None) -> None:
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


def edges(table: Table, split: Sequence[float] | Sequence[int] | Sequence[str]) -> list[int]:
    """Return the first row of each part and the row after the last one."""
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
        raise DataError(f"{table.path}: has {rows:,} rows. data.split takes {sum(counts):,}")
    return [0, counts[0], counts[0] + counts[1], sum(counts)]


def _check_changing(table: Table, targets: list[int], train_rows: int) -> None:
    """Refuse targets of which none ever changes; warn of columns that never change in the training part."""
    constant_N = (table.values_RN == table.values_RN[0]).all(0)
    if constant_N[targets].all():
        named = f"column '{table.names[targets[0]]}'" if len(targets) == 1 else "every column to predict"
        raise DataError(f"{table.path}, {named}: never changes. Expected something to predict")
    train_RN = table.values_RN[:train_rows]
    constant_N = (train_RN == train_RN[0]).all(0)
    if constant_N.any():
        names = ", ".join(shortened(table.names[column]) for column in constant_N.nonzero()[0])
        getLogger("seqkit").warning(
            "%s: never changing in the training part, so that nothing can be learned from it: %s", table.path, names
        )


def _columns(table: Table, names: list[str] | None) -> list[int]:
    return list(range(len(table.names))) if names is None else [table.names.index(name) for name in names]


def _microseconds(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))

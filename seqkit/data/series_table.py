"""Tables of series, one or many: windows of all of them for one model."""

# R rows of all series, below each other, I input columns, C target columns, K columns known ahead
# L look-back, F horizon, S series, A all columns that are read or predicted

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import accumulate
from logging import getLogger
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import PositiveInt
from torch.utils.data import Dataset

from seqkit.contracts.batch import SPLITS, Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data.folds import Origin, check_fold, folded, keep_last, time_of
from seqkit.data.ordering import Order, sequential, shuffled
from seqkit.data.scaling import Scaling, fitted
from seqkit.data.windows import Sample, Windows, check_split, edges
from seqkit.errors import ConfigError, DataError
from seqkit.files import existing_file, sha256_of
from seqkit.inputs.delimited import Separator
from seqkit.inputs.frames import calendar as cycles
from seqkit.inputs.frames import tables
from seqkit.inputs.frames.calendar import Cycle
from seqkit.inputs.frames.decimals import Decimal
from seqkit.inputs.frames.events import names as event_names
from seqkit.inputs.frames.long import LongTable, OneSeries, framed, listed, read_long
from seqkit.inputs.frames.scaling import Transform, own_mean_and_scale, transformed
from seqkit.inputs.frames.spec import Frames, Role
from seqkit.inputs.frames.tables import Gaps, Notation, observed, refuse_no_logarithm, select
from seqkit.inputs.frames.wide import SERIES, VALUE, read_wide
from seqkit.registry import register_data
from seqkit.tasks.forecast.facts import are_counts, naive_errors
from seqkit.tasks.forecast.spec import Series


@dataclass(frozen=True)
class _Columns:
    """Columns of all series below each other: those that are read, then those that are only predicted, of no role."""

    roles: dict[str, Role | None]
    levels: list[tuple[str, ...]]
    events: tuple[tuple[str, tuple[str, ...]], ...]
    targets: list[int]
    values_RA: np.ndarray

    @property
    def names(self) -> list[str]:
        return list(self.roles)

    @property
    def unread(self) -> list[str]:
        return [name for name, role in self.roles.items() if role is None]

    @property
    def read(self) -> int:
        return len(self.roles) - len(self.unread)


@dataclass(frozen=True)
class _Fit:
    """Mean and scale of each column, and of what is read of it."""

    mean_A: np.ndarray
    scale_A: np.ndarray
    read_mean_A: np.ndarray
    read_scale_A: np.ndarray


@register_data("series_table")
class SeriesTable:
    """Your own table of numbers over time, CSV, Parquet or Excel: one series, or many for one model over all.

    One series has one row per step. Of many there is one row per series and step (long), or one column per series
    (wide); they may differ in scale, length and start. Each is cut into parts by itself, or all on the same dates; a
    series too short for a window of a part is left out of it. Validation and test part read back over their border by
    the look-back. What is scaled is scaled by the training part only.

    Args:
        path: CSV or TSV file with a header line (also .csv.gz), Parquet file, or Excel workbook of one sheet.
        series: Column that names the series of each row; if left out, all rows are one series.
        wide: Whether each column is a series of its own, from its first value to its last; ``targets`` lists them. What
            is known ahead is the same for all.
        time_column: Column of times or whole numbers, to check that steps are even and to split by date; if left out,
            the rows of a series count as even.
        targets: Columns to predict; if left out, all columns of numbers that no other option names.
        inputs: Columns of numbers that the model reads up to the last row before the forecast; if left out, the targets
            and, of one series, all other columns of numbers that no other option names.
        known: Further columns of numbers that are known ahead, such as prices, promotions and holidays.
        events: Columns of words that are known ahead, such as the names of holidays; each word of the training part
            gets a column that is 1 in its rows, and an empty cell is none.
        static: Columns of numbers that are the same at every step of a series.
        categories: Columns of any text, the same at every step of a series; each text gets a learned vector. May name
            the column of the series itself.
        calendar: Columns made from the time and so known ahead: where a row stands in the day (hour), in the week
            (weekday), in the month (day), in the year (month, yearday).
        lookback: Rows the model reads before the first predicted one.
        horizon: Rows to predict.
        split: Training, validation and test part of each series: three fractions, three row counts, or the two dates on
            which validation and test start.
        season: Rows of one period of the seasonal naive forecast; if left out, taken from the step of time_column: a
            day, a week of daily rows, a year of monthly ones.
        missing: What to do about empty cells and left-out rows: refuse, fill forward from the last value, interpolate
            within a part (a filled cell then knows the value after it; a gap right before a part keeps the last value),
            or mask: fill forward, and let the model read beside each column of the past that has gaps where it was
            observed. Filled targets count as any others.
        repeats: What to do about rows with the time of the row before in their series: refuse, or keep the first.
        scaling: By the training part of all series: mean and population standard deviation (standard), smallest value
            and range (minmax), median and quartile range (robust); targets and inputs by mean and deviation of the
            training part of their own series (series), a new one by the rows that are given of it; or by mean and
            deviation of the window alone (window). If left out, standard for one series and window for many.
        transform: What the model reads and learns of targets and inputs, before they are scaled: the values (none),
            their logarithms (log), or their differences from the row before (difference). Predictions, scores and
            baselines are of the values.
        train_rows: Last rows of the training part, of each series, that are trained on; all of it if left out.
        fold: Fold of a backtest and how many there are, [0,5]: all parts end at its origin; set by `seqkit backtest`.
        stride: Rows between the starts of neighbouring training windows.
        eval_stride: Likewise in validation and test.
        mirror: Also train on every window upside down, mirrored about its last row before the horizon, so that no
            drift of the training part is learnt as a rule; not with columns known ahead.
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
        series: str | None = None,
        wide: bool = False,
        time_column: str | None = None,
        targets: list[str] | None = None,
        inputs: list[str] | None = None,
        known: list[str] = [],  # noqa: B006  none of these is ever written to
        events: list[str] = [],  # noqa: B006
        static: list[str] = [],  # noqa: B006
        categories: list[str] = [],  # noqa: B006
        calendar: list[Cycle] = [],  # noqa: B006
        lookback: PositiveInt = 96,
        horizon: PositiveInt = 24,
        split: list[float] | list[int] | list[str] = [0.7, 0.1, 0.2],  # noqa: B006
        season: PositiveInt | None = None,
        missing: Gaps = "refuse",
        repeats: Literal["refuse", "first"] = "refuse",
        scaling: Literal["window", "series"] | Scaling | None = None,
        transform: Transform = "none",
        train_rows: PositiveInt | None = None,
        fold: list[int] | None = None,
        stride: PositiveInt = 1,
        eval_stride: PositiveInt = 1,
        mirror: bool = False,
        separator: Separator | None = None,
        decimal: Decimal | None = None,
        date_format: str | None = None,
        batch_size: PositiveInt = 64,
    ) -> None:
        self.path = existing_file(path, tables.FILE)
        check_split(split, time_column)
        check_fold(fold)
        if wide:
            _check_wide({"series": series, "inputs": inputs, "static": static}, known, categories)
            series = SERIES
        _check_columns(
            {
                "targets": targets,
                "inputs": inputs,
                "known": known,
                "events": events,
                "static": static,
                "categories": categories,
            },
            series,
            time_column,
        )
        if transform != "none" and scaling == "series":
            raise ConfigError(f"data.transform={transform} and data.scaling=series: use scaling window or standard")
        if transform == "log" and mirror:
            raise ConfigError(
                "data.transform=log and data.mirror=true: what is mirrored may fall below 0. Set data.mirror=false"
            )
        ahead = [*known, *events, *calendar]
        if ahead and mirror:
            raise ConfigError(
                f"data.mirror=true and '{ahead[0]}' known ahead: upside down it would act the other way round. Set "
                "data.mirror=false"
            )
        if scaling == "series" and series is None:
            raise ConfigError(
                "data.scaling=series needs data.series; of a single series data.scaling=standard is the same"
            )
        if calendar and time_column is None:
            raise ConfigError(f"data.calendar=[{','.join(calendar)}] needs data.time_column")
        self.series = series
        self.wide = wide
        self.time_column = time_column
        self.targets = targets
        self.inputs = inputs
        self.known = known
        self.events = events
        self.static = static
        self.categories = categories
        self.calendar = cycles.names(list(dict.fromkeys(calendar)))
        self.lookback = lookback
        self.horizon = horizon
        self.split = split
        self.train_rows = train_rows
        self.fold = fold
        self.season = season
        self.missing: Gaps = missing
        self.repeats: Literal["refuse", "first"] = repeats
        self.scaling = scaling or ("window" if series else "standard")
        self.transform: Transform = transform
        self.stride = stride
        self.eval_stride = eval_stride
        self.mirror = mirror
        self.notation = Notation(separator, decimal, date_format)
        self.batch_size = batch_size

    def setup(self) -> None:
        """Read the file and cut its series into parts.

        Raises:
            DataError: The file has not what the options name, or no series is long enough for a window of a part.
        """
        table = self._read(self.missing)
        self._cut(table)
        edges_S, spans = self._in(self.fold)
        self._gaps_S = [_gaps(one, self.known) for one in table.series] if self.missing == "interpolate" else []
        table = _within_parts(table, self._gaps_S, edges_S)
        columns = self._columns(table, edges_S)
        train_R = np.zeros(len(columns.values_RA), dtype=bool)
        for start, edge in zip(self._starts, edges_S, strict=False):
            train_R[start + edge[0] : start + edge[1]] = True
        _check_changing(
            self.path, [self._title(name) for name in columns.names], columns.values_RA, columns.targets, train_R
        )
        fit = self._fit(table, columns, train_R)
        frames = self._frames(table, columns, fit)
        values_RI = columns.values_RA[:, : columns.read]
        if self.scaling == "series":
            frames, own_SX = _with_own_scales(frames, table, edges_S)
            values_RI = np.hstack((values_RI, np.repeat(own_SX, np.diff(self._starts), 0)))
        targets_RC = torch.from_numpy(columns.values_RA[:, columns.targets])
        self._parts = self._windows(frames, values_RI, targets_RC, spans)
        season = self.season or (table.times.season if table.times else None)
        naive = [
            naive_errors(targets_RC[at + edge[0] : at + edge[1]], season)
            for at, edge in zip(self._starts, edges_S, strict=False)
        ]
        self._naive_SC2 = torch.tensor(naive)
        self.spec = DataSpec(frames, self._task(frames, columns, fit, targets_RC, season, naive))
        self.fingerprint = sha256_of([self.path])
        self.facts = self._describe(table, season, edges_S)
        self.origins = self._origins()
        self.earlier: Sequence[Sample] | Windows = ()
        if columns.unread:
            self.facts["not read"] = f"{listed(columns.unread)}, predicted from the other columns alone"

    def in_fold(self, number: int) -> "SeriesTable":
        """Return this data with the test part and the origins of another fold; the rest, and all that is fitted, stays.

        Its ``earlier`` are the windows from the origins of this fold up to those of the other, as far apart as in an
        evaluation.

        Raises:
            DataError: No series has a window of a part there.
        """
        assert self.fold is not None
        other = copy(self)
        other.fold = [number, self.fold[1]]
        edges_S, spans = self._in(other.fold)
        own = self._parts["test"]
        if self._gaps_S:
            own = copy(own)
            own.values_RI, own.targets_RC = own.values_RI.clone(), own.targets_RC.clone()
            for names, values in ((self.spec.inputs.names, own.values_RI), (self.spec.task.names, own.targets_RC)):
                for at, edge, gaps in zip(self._starts, edges_S, self._gaps_S, strict=False):
                    keep_last({name: values[at:, names.index(name)] for name in names}, gaps, edge[2])
        other._parts = {**self._parts, "test": own.over(spans["test"])}
        other.origins = other._origins()
        other.earlier = own.over(
            [
                (starts[0] + (first - starts[0]) % self.eval_stride, first - self.eval_stride + self.horizon)
                if starts and first < end
                else (first, first)
                for starts, (first, end) in zip(own.starts, spans["test"], strict=True)
            ]
        )
        return other

    def _cut(self, table: LongTable) -> None:
        """Find the rows of each series, and its parts as they are without folds."""
        times = table.times
        if self.calendar and times is not None and times.moment_R is None:
            raise DataError(f"{self.path}: column '{times.column}' holds numbers. data.calendar needs dates")
        self._edges_S = [edges(one.table, self.split, one.name) for one in table.series]
        self._starts = list(accumulate((len(one.table.line_R) for one in table.series), initial=0))
        self._names_S = [one.name if self.series else "" for one in table.series]
        self._times_S = [one.table.times for one in table.series]

    def _in(self, fold: list[int] | None) -> tuple[list[list[int]], dict[Split, list[tuple[int, int]]]]:
        """Return the parts of each series in a fold, and the rows of each part that may be predicted."""
        dated = isinstance(self.split[0], str)
        moments_S = [times.moment_R for times in self._times_S if dated and times]
        edges_S = folded(self._edges_S, fold, self.train_rows, self.horizon, self.path, moments_S)
        spans = {name: self._spans(number, edges_S) for number, name in enumerate(SPLITS)}
        for number, name in enumerate(SPLITS):
            if not any(first < end for first, end in spans[name]):
                self._refuse_short(name, max(edge[number + 1] - edge[number] for edge in edges_S))
        return edges_S, spans

    def _columns(self, table: LongTable, edges_S: Sequence[Sequence[int]]) -> "_Columns":
        """Return what is read and what is predicted; words are those of the training part."""
        events = _events(table, self.events, edges_S)
        targets, roles = self._targets_and_roles(table, event_names(events))
        names = list(roles)
        trains = [span[0] < span[1] for span in self._spans(0, edges_S)]
        trained = [one for one, trains_it in zip(table.series, trains, strict=True) if trains_it]
        levels = [
            tuple(sorted({str(one.static[name]) for one in trained})) if name in self.categories else ()
            for name in names
        ]
        values_RA = np.concatenate([framed(one, names, list(roles.values()), levels) for one in table.series])
        return _Columns(roles, levels, events, [names.index(name) for name in targets], values_RA)

    def _fit(self, table: LongTable, columns: "_Columns", train_R: np.ndarray) -> "_Fit":
        """Return what scales the columns, by the training part."""
        roles, levels, values_RA = columns.roles, columns.levels, columns.values_RA
        plain = self._fitted(roles, levels, values_RA[train_R])
        if self.transform == "none":
            return _Fit(*plain, *plain)
        transformed_RA = self._transformed(table, roles, values_RA)
        return _Fit(*plain, *self._fitted(roles, levels, transformed_RA[train_R]))

    def _frames(self, table: LongTable, columns: "_Columns", fit: "_Fit") -> Frames:
        """Return what the model reads."""
        read, roles = columns.read, columns.roles
        plain = set(roles.values()) <= {"past", None}
        return Frames(
            tuple(columns.names[:read]),
            tuple(fit.read_mean_A[:read].tolist()),
            tuple(fit.read_scale_A[:read].tolist()),
            rate=table.times.rate if table.times else None,
            step=table.times.distance(table.times.step) if table.times else None,
            time_column=self.time_column,
            missing=self.missing,
            repeats=self.repeats,
            separator=table.notation.separator,
            decimal=table.notation.decimal,
            date_format=table.notation.date_format,
            series=self.series,
            wide=tuple(self.targets or ()) if self.wide else None,
            roles=() if plain else tuple(role for role in roles.values() if role),
            levels=() if plain else tuple(columns.levels[:read]),
            events=columns.events,
            window=self.scaling == "window",
            transform=self.transform,
        )

    def _windows(
        self,
        frames: Frames,
        values_RI: np.ndarray,
        targets_RC: torch.Tensor,
        spans: dict[Split, list[tuple[int, int]]],
    ) -> dict[Split, Windows]:
        """Return the windows of each part, which share the values."""
        read_RI, predicted_RC = torch.from_numpy(values_RI).float(), targets_RC.float()
        return {
            name: Windows(
                read_RI,
                predicted_RC,
                frames.columns("known", "calendar"),
                spans[name],
                self.lookback,
                self.horizon,
                self.stride if name == "train" else self.eval_stride,
                frames.columns("past") if self.mirror and name == "train" else None,
            )
            for name in SPLITS
        }

    def _task(
        self,
        frames: Frames,
        columns: "_Columns",
        fit: "_Fit",
        targets_RC: torch.Tensor,
        season: int | None,
        naive: list[Any],
    ) -> Series:
        """Return what the model predicts."""
        targets = columns.targets
        transformed = zip(fit.read_mean_A[targets].tolist(), fit.read_scale_A[targets].tolist(), strict=True)
        return Series(
            self.horizon,
            tuple(columns.names[target] for target in targets),
            tuple(fit.mean_A[targets].tolist()),
            tuple(fit.scale_A[targets].tolist()),
            lookback=self.lookback,
            season=season,
            naive=() if self.series else naive[0],
            window=tuple(targets) if frames.window else (),
            read=tuple(targets) if self.transform == "difference" else (),
            own=frames.own_scales(targets),
            transform=self.transform,
            transformed=() if self.transform == "none" else tuple(transformed),
            counts=are_counts(targets_RC),
            members=tuple(self._names_S) if self.series else (),
            stride=self.eval_stride,
        )

    def _origins(self) -> list[Origin]:
        """Return the start of each window of the test part in a fold."""
        return [
            Origin(row, time_of(times, row - at), name)
            for name, times, at, rows in zip(
                self._names_S, self._times_S, self._starts, self._parts["test"].starts, strict=False
            )
            for row in (rows if self.fold else ())
        ]

    def part(self, split: Split) -> Dataset:
        return self._parts[split]

    def collate(self, samples: Sequence[Sample]) -> Batch:
        inputs, targets, known, series = zip(*samples, strict=True)
        extras = {}
        if self.series:
            series_B = torch.tensor(series)
            extras = {"series": series_B, "naive": self._naive_SC2[series_B]}
        if known[0].shape[1]:
            extras["known"] = torch.stack(known)
        return Batch(torch.stack(inputs), targets=torch.stack(targets), extras=extras)

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Order:
        size = len(self._parts[split])
        return shuffled(size, batch_size, seed, epoch) if split == "train" else sequential(size, batch_size)

    def _read(self, missing: Gaps) -> LongTable:
        if self.wide:
            return read_wide(
                self.path,
                self.time_column,
                self.targets or (),
                self.known,
                missing,
                self.repeats,
                notation=self.notation,
                events=dict.fromkeys(self.events),
            )
        return read_long(
            self.path,
            self.series,
            self.time_column,
            list(dict.fromkeys([*(self.targets or ()), *(self.inputs or ()), *self.known])),
            self.static,
            self.categories,
            missing,
            self.repeats,
            notation=self.notation,
            others=self.targets is None or (self.inputs is None and self.series is None),
            events=dict.fromkeys(self.events),
        )

    def _targets_and_roles(self, table: LongTable, events: list[str]) -> tuple[list[str], dict[str, Role | None]]:
        """Return the targets, and the role of each column that is read; then, with none, of targets that are not.

        Raises:
            ConfigError: Targets are not read that have to be.
            DataError: Two columns have one name.
        """
        held = table.series[0].table.names
        held = held[: len(held) // 2] if self.missing == "mask" else held
        found = [name for name in held if name not in (*self.known, *table.series[0].table.made)]
        targets = [VALUE] if self.wide else self.targets or found
        past = self.inputs or (found if self.series is None else targets)
        by_role: dict[Role | None, list[str]] = {"past": past}
        if self.missing == "mask":
            by_role["observed"] = [observed(name) for name in past if _has_gaps(table, name)]
        by_role |= {
            "known": [*self.known, *events],
            "calendar": self.calendar,
            "static": [*self.static, *self.categories],
        }
        by_role[None] = [name for name in targets if name not in past]
        if by_role[None] and self.transform == "difference":
            raise ConfigError(
                f"data.transform=difference goes on from the last row of a target, and data.inputs leaves out "
                f"'{by_role[None][0]}'. Name it there too"
            )
        if by_role[None] and self.scaling in ("window", "series"):
            raise ConfigError(
                f"data.scaling={self.scaling} scales a target by what is read of it, and data.inputs leaves out "
                f"'{by_role[None][0]}'. Name it there too, or use data.scaling=standard"
            )
        roles: dict[str, Role | None] = {}
        for role, names in by_role.items():
            for name in names:
                if name in roles:
                    raise DataError(f"{self.path}: column '{name}' has a name that seqkit makes. Rename it in the file")
                roles[name] = role
        return targets, roles

    def _fitted(
        self, roles: dict[str, Role | None], levels: Sequence[Sequence[str]], train_RA: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what scales each column (A,); 0 and 1 for those that are no numbers."""
        pairs = zip(roles.values(), levels, strict=True)
        numbers = [column for column, (role, own) in enumerate(pairs) if not own and role != "observed"]
        how: Scaling = "standard" if self.scaling == "window" or self.scaling == "series" else self.scaling
        mean_A, scale_A = np.zeros(len(roles)), np.ones(len(roles))
        names = list(roles)
        mean_A[numbers], scale_A[numbers] = fitted(
            self.path, [self._title(names[column]) for column in numbers], train_RA[:, numbers], how
        )
        return mean_A, scale_A

    def _title(self, name: str) -> str:
        """Return how messages name a column: that of the values of a wide table by its columns in the file."""
        own = self._names_S if self.wide and name == VALUE else [name]
        return f"column{'s' if len(own) > 1 else ''} {listed(own)}"

    def _transformed(self, table: LongTable, roles: dict[str, Role | None], values_RA: np.ndarray) -> np.ndarray:
        """Return the rows of all series with targets and columns of the past transformed.

        Raises:
            DataError: A value has no logarithm.
        """
        names = [name for name, role in roles.items() if role in ("past", None)]
        columns = [list(roles).index(name) for name in names]
        made_RA = values_RA.copy()
        for one, start, end in zip(table.series, self._starts, self._starts[1:], strict=False):
            if self.transform == "log":
                refuse_no_logarithm(one.table, names)
            own_1RP = torch.from_numpy(values_RA[start:end][:, columns])[None]
            made_RA[start:end, columns] = transformed(own_1RP, self.transform)[0].numpy()
        return made_RA

    def _spans(self, part: int, edges_S: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
        """Return of each series the first row that may be predicted in a part and the first after those."""
        spans = []
        for start, edge in zip(self._starts, edges_S, strict=False):
            first = max(edge[part], edge[0] + self.lookback)
            last = edge[part + 1] if edge[part + 1] - first >= self.horizon else first  # no row where no window fits
            spans.append((start + first, start + last))
        return spans

    def _refuse_short(self, part: str, longest: int) -> None:
        needs = self.horizon + (self.lookback if part == "train" else 0)
        options = f"data.horizon={self.horizon}"
        options = f"data.lookback={self.lookback} and {options} need" if part == "train" else f"{options} needs"
        if self.series is None:
            raise DataError(f"{self.path}: the {part} part has {longest:,} rows. {options} at least {needs:,}")
        raise DataError(
            f"{self.path}: no series has a window in the {part} part; the longest has {longest:,} rows there. "
            f"{options} at least {needs:,}"
        )

    def _describe(self, table: LongTable, season: int | None, edges_S: Sequence[Sequence[int]]) -> dict[str, Any]:
        times = table.times
        facts: dict[str, Any] = {"file": str(self.path), "rows": f"{table.rows:,}"}
        if self.series:
            lengths = sorted(len(one.table.line_R) for one in table.series)
            facts["series"] = f"{len(table.series):,}, of {lengths[0]:,} to {lengths[-1]:,} rows"
        if table.notation.words:
            facts["read as"] = table.notation.words
        if times:
            facts["step"] = times.distance(times.step)
        if season:
            facts["season"] = f"{season} rows, {'as given' if self.season else 'by the step'}"
        facts["scaling"] = self.scaling + {"none": "", "log": ", of logarithms"}.get(self.transform, ", of differences")
        if self.missing != "refuse":
            facts["missing"] = (
                f"{table.filled:,} cells filled ({self.missing}), {table.added:,} rows put in for times left out"
            )
        if self.repeats != "refuse":
            facts["repeats"] = f"{table.repeated:,} left out"
        if table.text:
            facts["left out"] = f"columns without numbers: {', '.join(table.text)}"
        for number, name in enumerate(SPLITS):
            part = self._parts[name]
            rows = sum(edge[number + 1] - edge[number] for edge in edges_S)
            mirrored = ", half of them mirrored" if part.mirrored else ""
            facts[name] = f"{rows:,} rows, {len(part):,} windows{mirrored}"
            short = [one.name for one, starts in zip(table.series, part.starts, strict=True) if not starts]
            if short:
                facts[name] += f"; none of {len(short):,} short series: {listed(short)}"
        return facts


def _gaps(one: OneSeries, known: Sequence[str]) -> dict[str, np.ndarray]:
    """Return by name where the columns that have gaps, and are not known ahead, have a value (R,)."""
    there_RN = np.zeros(one.table.values_RN.shape, dtype=bool)
    there_RN[one.table.line_R > 0] = ~np.isnan(one.given.values_RN)
    past = [(name, there_R) for name, there_R in zip(one.table.names, there_RN.T, strict=True) if name not in known]
    return {name: there_R for name, there_R in past if name not in one.table.made and not there_R.all()}


def _within_parts(
    table: LongTable, gaps_S: Sequence[dict[str, np.ndarray]], edges_S: Sequence[Sequence[int]]
) -> LongTable:
    """Return the table with gaps right before the validation and the test part filled by what lies before them."""
    found = list(table.series)
    for series, (gaps, edge) in enumerate(zip(gaps_S, edges_S, strict=False)):
        if gaps:
            own = found[series].table
            values_RN = own.values_RN.copy()
            for border in edge[1:3]:
                keep_last(dict(zip(own.names, values_RN.T, strict=True)), gaps, border)
            found[series] = replace(found[series], table=replace(own, values_RN=values_RN))
    return replace(table, series=tuple(found))


def _has_gaps(table: LongTable, name: str) -> bool:
    return any(not one.table.values_RN[:, one.table.names.index(observed(name))].all() for one in table.series)


def _events(
    table: LongTable, names: Sequence[str], edges_S: Sequence[Sequence[int]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the words of the training part, by their columns."""
    own = table.series[0].table
    train_RN = np.concatenate(
        [one.table.values_RN[first:last] for one, (first, last, *_) in zip(table.series, edges_S, strict=True)]
    )
    made = [column for column in own.made if train_RN[:, own.names.index(column)].any()]
    return tuple(
        (name, tuple(column.removeprefix(f"{name}=") for column in made if column.startswith(f"{name}=")))
        for name in names
    )


def _with_own_scales(frames: Frames, table: LongTable, edges_S: Sequence[Sequence[int]]) -> tuple[Frames, np.ndarray]:
    """Return frames with columns for mean and scale of each series, and those columns (S, X).

    Args:
        frames: Without them.
        table: The series.
        edges_S: Parts of each series; one that has no training part is scaled by that of all.

    Raises:
        DataError: A column of a series varies too little for single precision.
    """
    past = frames.columns("past")
    names = [frames.names[column] for column in past]
    usual = tuple(frames.mean[column] for column in past), tuple(frames.scale[column] for column in past)
    own = [
        own_mean_and_scale(select(one.table, np.arange(first, last)), one.name, names, usual[1])
        if first < last
        else usual
        for one, (first, last, *_) in zip(table.series, edges_S, strict=True)
    ]
    members = tuple((one.name, *numbers) for one, numbers in zip(table.series, own, strict=True))
    return frames.scaled_by_series(members), np.array([[*mean, *scale] for mean, scale in own])


def _check_wide(without: dict[str, Any], known: list[str], categories: list[str]) -> None:
    """Refuse what a wide table has not; raises ``ConfigError``."""
    for option, value in without.items():
        if value:
            raise ConfigError(f"data.{option} and data.wide=true: a wide table has its series and data.known, no more")
    if categories not in ([], [SERIES]):
        raise ConfigError(f"data.categories=[{','.join(categories)}]: of a wide table expected [{SERIES}], its names")
    if VALUE in known:
        raise ConfigError(f"data.known: '{VALUE}' is how the values of a wide table are called. Rename the column")


def _check_columns(options: dict[str, list[str] | None], series: str | None, time_column: str | None) -> None:
    """Refuse a column that is named for two things, and options that others are needed for."""
    taken = {}
    if series is not None:
        if time_column == series:
            raise ConfigError(f"data.time_column: column '{series}' is data.series; it cannot be both")
        taken[series] = "series"
    if time_column is not None:
        taken[time_column] = "time_column"
    for option, names in options.items():
        if names and series is None and option in ("static", "categories"):
            raise ConfigError(
                f"data.{option}=[{','.join(names)}] needs data.series: what is the same at every step of the only "
                "series says nothing"
            )
        if names == [] and option in ("targets", "inputs"):
            numbers = " for all columns of numbers" if option == "targets" or series is None else ""
            raise ConfigError(f"data.{option}=[]: name at least one column, or leave it out{numbers}")
        for name in names or ():
            before = taken.get(name)
            if (option, before) in (("categories", "series"), ("inputs", "targets")):
                before = None
            if before == option:
                raise ConfigError(f"data.{option}: column '{name}' is named twice")
            if before:
                raise ConfigError(f"data.{option}: column '{name}' is data.{before}; it cannot be both")
            taken[name] = option


def _check_changing(
    path: Path, titles: Sequence[str], values_RA: np.ndarray, targets: Sequence[int], train_R: np.ndarray
) -> None:
    """Refuse targets of which none ever changes; warn of columns that never change in the training part."""
    if (values_RA[:, targets] == values_RA[0, targets]).all():
        named = titles[targets[0]] if len(targets) == 1 else "every column to predict"
        raise DataError(f"{path}, {named}: always the same value. Expected something to predict")
    train_RA = values_RA[train_R]
    constant_A = (train_RA == train_RA[0]).all(0)
    if constant_A.any():
        constant = ", ".join(titles[column] for column in constant_A.nonzero()[0])
        getLogger("seqkit").warning(
            "%s: never changing in the training part, so that nothing can be learned from it: %s", path, constant
        )

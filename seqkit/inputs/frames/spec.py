"""Frames: vectors of numbers at even steps."""

# T time (rows), I numbers per frame

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import chain
from logging import getLogger
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from seqkit.errors import ConfigError, DataError, shortened
from seqkit.files import existing_file
from seqkit.inputs.chunks import as_numbers
from seqkit.inputs.delimited import EXCEL, PARQUET, Separator
from seqkit.inputs.frames import calendar
from seqkit.inputs.frames.ahead import KnownAhead
from seqkit.inputs.frames.decimals import Decimal
from seqkit.inputs.frames.events import names as event_names
from seqkit.inputs.frames.latest import Latest, texts
from seqkit.inputs.frames.long import LongTable, OneSeries, framed, listed, prepared, read_long
from seqkit.inputs.frames.reading import last, read_array
from seqkit.inputs.frames.scaling import Transform, own_mean_and_scale
from seqkit.inputs.frames.sequences import TS, read_ts
from seqkit.inputs.frames.tables import FILE, Gaps, Notation, last_rows, refuse_no_logarithm
from seqkit.inputs.frames.times import Times
from seqkit.inputs.frames.wide import read_wide
from seqkit.registry import register_inputs

LOG = getLogger("seqkit")

Role = Literal["past", "observed", "known", "calendar", "static", "mean", "scale"]
"""What a column is: known up to the last row read, and where it was observed; known ahead, from a file or from the
times; the same at every step; or mean and scale, in its series, of each column of the past."""


@register_inputs("frames")
@dataclass(frozen=True)
class Frames:
    """Vectors of numbers at even steps.

    Attributes:
        names: One per number of a frame.
        mean: Of the training split, one per name, in the units of the data; of columns of the past of what they are
            transformed to.
        scale: Standard deviation of the training split, likewise.
        rate: Steps per second, None where the steps have no duration.
        time_column: Of a table to predict from, to check that its steps are even; None where there is none.
        missing: How its empty cells and left-out rows are treated.
        repeats: How its rows with the time of the row before are treated.
        separator: Between the cells of the file trained on; as decimal and date_format it settles what another file
            leaves open.
        decimal: Decimal mark of that file.
        date_format: Of its times, None for ISO 8601.
        series: Column that names the series of each row of a table; None where a table is one series.
        wide: Columns of a table that are a series each; all of numbers where there are none; None where a table is not
            wide.
        roles: Of each column; all are of the past where left out.
        levels: Of each column the categories that its numbers stand for, from 1, 0 being one that the training split
            has not; none for a column of numbers, and for all columns where left out.
        events: Columns of words that are known ahead, and of each the words that have a column of 0 and 1.
        window: Whether columns of the past are scaled by mean and deviation of each window instead.
        transform: What columns of the past are before they are scaled: as they are, logarithms, or differences from the
            row before.
        members: Of each series of the training data its name, and mean and scale of its columns of the past, where
            these scale it; new ones are scaled by the rows that are given of them.
        step: Time between neighbouring rows of the training data, in words; None where it is not known.
    """

    frontend: ClassVar[str] = "frames"
    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".csv.gz", ".tsv.gz", *PARQUET, *EXCEL, TS)
    example_steps: ClassVar[int] = 50
    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    rate: float | None = None
    time_column: str | None = field(default=None, compare=False)
    missing: Gaps = field(default="refuse", compare=False)
    repeats: Literal["refuse", "first"] = field(default="refuse", compare=False)
    separator: Separator | None = field(default=None, compare=False)
    decimal: Decimal | None = field(default=None, compare=False)
    date_format: str | None = field(default=None, compare=False)
    series: str | None = None
    wide: tuple[str, ...] | None = None
    roles: tuple[Role, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()
    events: tuple[tuple[str, tuple[str, ...]], ...] = ()
    window: bool = False
    transform: Transform = "none"
    members: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...] = field(default=(), compare=False)
    step: str | None = field(default=None, compare=False)

    @property
    def meaning(self) -> str:
        """Meaning of the numbers, for the description of an exported file."""
        parts = ["frames in the units of the data, in the order of spec.inputs.names; the scaling is in the model"]
        if self.categories:
            parts.append("a category is its place, from 1, in spec.inputs.levels of its column; 0 is none of them")
        if self.columns("observed"):
            parts.append("'X observed' is 1 where X was there, 0 where it was filled forward")
        if columns := self.columns("calendar"):
            parts.append(calendar.meaning(self.names[column] for column in columns))
        if self.events:
            parts.append("'X=WORD' is 1 where column X of the file holds WORD, 0 elsewhere")
        if self.members:
            parts.append("'X mean' and 'X scale' of a series are in spec.inputs.members")
        return "; ".join(parts)

    @property
    def notation(self) -> Notation:
        """How the file trained on was written."""
        return Notation(self.separator, self.decimal, self.date_format, found=True)

    def columns(self, *roles: Role) -> list[int]:
        """Return the columns of these roles."""
        own = self.roles or ("past",) * len(self.names)
        return [column for column, role in enumerate(own) if role in roles]

    def scaled_by_series(self, members: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...]) -> "Frames":
        """Return frames of which the columns of the past are scaled by series; see ``members``."""
        past = [self.names[column] for column in self.columns("past")]
        count = len(self.names)
        own: list[Role] = [*["mean"] * len(past), *["scale"] * len(past)]  # type: ignore[list-item]
        return replace(
            self,
            names=(*self.names, *(f"{name} {part}" for part in ("mean", "scale") for name in past)),
            mean=(*self.mean, *[0.0] * 2 * len(past)),
            scale=(*self.scale, *[1.0] * 2 * len(past)),
            roles=(*(self.roles or ("past",) * count), *own),  # type: ignore[arg-type]
            levels=(*(self.levels or ((),) * count), *[()] * 2 * len(past)),
            members=members,
        )

    def own_scales(self, columns: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Return the columns that hold mean and scale of some columns of the past in their series; () if none do."""
        pairs = zip(self.columns("mean"), self.columns("scale"), strict=True)
        own = dict(zip(self.columns("past"), pairs, strict=False))
        return tuple(own[column] for column in columns) if own else ()

    @property
    def categories(self) -> dict[int, tuple[str, ...]]:
        """The levels of each column of categories."""
        return {column: levels for column, levels in enumerate(self.levels) if levels}

    def read(self, source: Any, lookback: int | None = None) -> Tensor:
        """Return rows_TI of a CSV or Parquet file with these columns, or of an array (T, I).

        Raises:
            DataError: The file cannot be read, lacks a column or has too few rows; or the array has another shape.
        """
        if isinstance(source, str) or hasattr(source, "__fspath__"):
            if self.series:
                raise DataError(f"{source}: the model reads tables of many series; use `seqkit forecast`")
            table = self._table(source, lookback)
            return self._past(self._scaled(table.series[0]), lookback)
        return self._checked(read_array(source, self.names, lookback), "the array")

    def sequences(self, path: Path, lookback: int | None) -> Iterator[tuple[str, Tensor]] | None:
        """Return the sequences (T, I) of a file that holds many, with their names; None for a file that is one.

        Raises:
            DataError: The file cannot be read or has other columns than the training data.
        """
        if lookback is None and path.suffix == TS:
            return self._cases(existing_file(path, FILE))
        if lookback is None and self.series:
            return self._many(existing_file(path, FILE), self.series)
        return None

    def _cases(self, path: Path) -> Iterator[tuple[str, Tensor]]:
        assert self.missing != "mask"  # which series have, and no sequences
        for number, case in enumerate(read_ts(path, self.missing).cases, 1):
            if case.table.names != self.names:
                raise DataError(
                    f"{case.table.where(0)}: {len(case.table.names)} dimensions; the model reads {len(self.names)}"
                )
            yield str(number), torch.from_numpy(case.table.values_RN).float()

    def _many(self, path: Path, series: str) -> Iterator[tuple[str, Tensor]]:
        table = read_long(path, series, self.time_column, self.names, missing=self.missing, notation=self.notation)
        for one in table.series:
            yield one.name, torch.from_numpy(one.table.values_RN).float()

    def latest(self, source: Any, lookback: int | None, horizon: int, known: Any = None) -> list[Latest]:
        """Return the last rows of each series of a file, with the ``horizon`` times that follow them.

        Of many series those with too few rows are left out with a warning.

        Args:
            source: Path of a CSV or Parquet file.
            lookback: Rows to return; None is all.
            horizon: Rows to come.
            known: Path of a file with the columns that are known ahead, of the rows to come.

        Raises:
            ConfigError: ``known`` is needed, or is not.
            DataError: A file cannot be read, or has another step than the training data.
        """
        series = self.series if self.wide is None else None
        names = self._numbers("known")
        ahead = KnownAhead(
            series, self.time_column, names, known, self.missing, self.repeats, self.notation, dict(self.events)
        )
        table = self._table(source, lookback)
        if self.step and "month" in self.step:  # which the few rows of a new file may not show
            table = replace(table, series=tuple(_in_months(one) for one in table.series))
        if table.times is not None:
            self._refuse_other_step(table.path, table.times)
        least = max(lookback or 1, 2 if self.time_column else 1)
        found, short = [], []
        for one in table.series:
            if self.series and len(one.table.line_R) < least:
                short.append(one.name)
                continue
            one = self._scaled(one)
            past_TI = self._past(one, lookback)
            coming = ahead.of(one, horizon)
            about: dict[str, Any] = {"series": one.name} if self.series else {}
            if coming.table.times and one.table.times:
                about["times"] = texts(coming.table.times, one.table.times)
            extras = {"known": self._known(coming)} if self.columns("known", "calendar") else {}
            found.append(Latest(past_TI, partial(self._whole, one), extras, about))
        if not found:
            raise DataError(f"{table.path}: no series has the {least:,} rows that the model was trained to read")
        for column, levels in self.categories.items():
            values = {str(one.static[self.names[column]]) for one in table.series if one.name not in short}
            if unknown := sorted(values - {*levels}):
                LOG.warning(
                    "%s, column '%s': not in the training data, and read as unknown: %s",
                    table.path, shortened(self.names[column]), listed(unknown),
                )  # fmt: skip
        if short:
            LOG.warning(
                "%s: without a forecast, having less than the %s rows that the model reads: series %s",
                table.path, f"{least:,}", listed(short),
            )  # fmt: skip
        return found

    def continued(self, inputs: Tensor, answers: Sequence[Mapping[str, Any]], extras: Mapping[str, Tensor]) -> Tensor:
        """Return rows (B, T, I) with those of a forecast after them, as if they had been seen.

        Args:
            inputs: Rows before the forecast.
            answers: Of each series ``names`` and ``values`` (F, C) of the columns that were forecast.
            extras: What is ``known`` ahead of these rows (B, F, K), where something is.

        Raises:
            ConfigError: A column of the past was not forecast.
        """
        names = list(answers[0]["names"])
        others = [self.names[column] for column in self.columns("past") if self.names[column] not in names]
        if others:
            raise ConfigError(
                f"the model reads {listed(others)}, which it does not forecast, and so cannot go on from its forecast. "
                "Train with a longer data.horizon, or with these among data.targets"
            )
        values_BFC = torch.tensor([answer["values"] for answer in answers], dtype=inputs.dtype)
        rows_BFI = inputs[:, -1:].repeat(1, values_BFC.shape[1], 1)
        read = [name for name in names if name in self.names]
        rows_BFI[:, :, [self.names.index(name) for name in read]] = values_BFC[:, :, [names.index(n) for n in read]]
        rows_BFI[:, :, self.columns("observed")] = 1
        if "known" in extras:
            rows_BFI[:, :, self.columns("known", "calendar")] = extras["known"].to(inputs)
        return torch.cat((inputs, rows_BFI), 1)

    def _table(self, source: Any, lookback: int | None) -> LongTable:
        """Return the series of a file, of which at least the last ``lookback`` rows are in even steps and filled."""
        if self.wide is not None:
            shared = self._numbers("known")
            columns = ", ".join([*self.wide, *shared]) or "of numbers"
            return read_wide(
                existing_file(source, f"{FILE} with columns {columns}"), self.time_column, self.wide, shared,
                self.missing, self.repeats, lookback, self.notation, dict(self.events),
            )  # fmt: skip
        categories = [self.names[column] for column in self.categories]
        static = [name for column in self.columns("static") if (name := self.names[column]) not in categories]
        numbers = self._numbers("past", "known")
        path = existing_file(source, f"{FILE} with columns {', '.join([*numbers, *static, *categories])}")
        return read_long(
            path, self.series, self.time_column, numbers, static, categories, self.missing, self.repeats, lookback,
            self.notation, events=dict(self.events),
        )  # fmt: skip

    def _numbers(self, *roles: Role) -> list[str]:
        """Return the columns of a file that hold numbers of these roles."""
        made = event_names(self.events)
        return [name for column in self.columns(*roles) if (name := self.names[column]) not in made]

    def _past(self, one: OneSeries, lookback: int | None) -> Tensor:
        """Return the last rows of a series (T, I)."""
        count = len(self.names)
        if self.transform == "log":
            refuse_no_logarithm(last_rows(one.table, lookback or 0), [self.names[c] for c in self.columns("past")])
        frames_TI = framed(one, self.names, self.roles or ("past",) * count, self.levels or ((),) * count)
        return last(torch.from_numpy(frames_TI).float(), lookback, str(one.table.path))

    def _whole(self, one: OneSeries) -> Tensor:
        """Return all rows of a series (R, I); raises ``DataError`` where its table has the last ones for their gaps."""
        if self.missing == "refuse":
            one = replace(one, table=prepared(one.given, self.missing, None, Counter(), alone=not self.series))
        return self._past(one, None)

    def _scaled(self, one: OneSeries) -> OneSeries:
        """Return a series with mean and scale of its columns of the past, where these scale it."""
        return replace(one, static={**one.static, **self._own_scale(one)}) if self.columns("mean") else one

    def _own_scale(self, one: OneSeries) -> dict[str, float]:
        """Return mean and scale of the columns of the past of a series, by the names of the columns that hold them."""
        past = self.columns("past")
        known = {name: (mean, scale) for name, mean, scale in self.members}
        if one.name not in known:
            LOG.warning(
                "%s: series '%s' is none of the training data; it is scaled by mean and deviation of its %s rows here",
                one.table.path, shortened(one.name), f"{len(one.given.line_R):,}",
            )  # fmt: skip
            names, usual = [self.names[column] for column in past], [self.scale[column] for column in past]
            known[one.name] = own_mean_and_scale(one.given, one.name, names, usual)
        columns = [*self.columns("mean"), *self.columns("scale")]
        return dict(zip([self.names[column] for column in columns], chain(*known[one.name]), strict=True))

    def _known(self, coming: OneSeries) -> Tensor:
        """Return the columns that are known ahead of the rows to come (F, K)."""
        columns = self.columns("known", "calendar")
        names, roles = ([part[column] for column in columns] for part in (self.names, self.roles))
        return torch.from_numpy(framed(coming, names, roles, [()] * len(columns))).float()

    def _refuse_other_step(self, path: Path, times: Times) -> None:
        found = times.distance(times.step)
        due = self.step or (str(timedelta(seconds=1 / self.rate)) if self.rate else found)
        if found != due and len(times.at_R) > 1:
            raise DataError(
                f"{path}: its rows are {found} apart, those of the training data {due}. Expected the same step"
            )

    def chunk(self, chunk: Any) -> Tensor:
        """Return rows (T, I), one row (I,), or the values (T,) of a single quantity as rows_TI."""
        due = f"rows (rows, {len(self.names)}): {', '.join(self.names)}"
        return self._checked(as_numbers(chunk, (len(self.names),), due), "the chunk")

    def _checked(self, rows_TI: Tensor, where: str) -> Tensor:
        """Return rows, of which those that have no logarithm are refused where it is taken."""
        past = self.columns("past")
        if self.transform == "log" and bool((rows_TI[:, past] <= 0).any()):
            row, column = (rows_TI[:, past] <= 0).nonzero()[0].tolist()
            raise DataError(
                f"{where}, row {row + 1}, column '{shortened(self.names[past[column]])}': "
                f"{rows_TI[row, past[column]]:g} has no logarithm. Expected numbers above 0"
            )
        return rows_TI

    def example(self, rows: int, steps: int, draw: torch.Generator) -> Tensor:
        noise = torch.randn(rows, steps, len(self.names), generator=draw)
        frames = torch.tensor(self.mean) + noise * torch.tensor(self.scale)
        if self.transform == "log":
            frames[:, :, self.columns("past")] = frames[:, :, self.columns("past")].exp()
        for column in self.columns("static"):
            frames[:, :, column] = frames[:, :1, column]
        for past, own in zip(self.columns("past"), self.own_scales(self.columns("past")), strict=False):
            frames[:, :, list(own)] = torch.tensor((self.mean[past], self.scale[past]))
        for column in self.columns("observed"):
            frames[:, :, column] = (frames[:, :, column] > 0).float()
        for column, levels in self.categories.items():
            frames[:, :, column] = torch.randint(len(levels) + 1, (rows, 1), generator=draw).float()
        return frames


def _in_months(one: OneSeries) -> OneSeries:
    times = one.table.times
    return one if times is None else replace(one, table=replace(one.table, times=times.in_months()))

"""Columns that are known ahead: their values for the rows to come, from a file of their own."""

# F rows to come, K columns

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from seqkit.errors import ConfigError, DataError, shortened
from seqkit.files import existing_file
from seqkit.inputs.frames.events import Words
from seqkit.inputs.frames.latest import following, in_iso
from seqkit.inputs.frames.long import LongTable, OneSeries, listed, read_long
from seqkit.inputs.frames.tables import NO_EVENTS, Gaps, Notation, Table
from seqkit.inputs.frames.times import Times


class KnownAhead:
    """Values of the columns that are known ahead, by series and time.

    Args:
        series: Column that names the series of each row; None where all rows are for every series.
        time_column: Column of their times; None where a file begins with the first row to come.
        names: Columns of numbers; with none of them, and no events, there is no file.
        path: Of the file; None where none was given.
        missing: As of ``fill``.
        repeats: As of ``read_long``.
        notation: Likewise.
        events: As of ``read_table``, further columns.

    Raises:
        ConfigError: A file is needed and there is none, or the other way round.
        DataError: As ``read_long``.
    """

    def __init__(
        self,
        series: str | None,
        time_column: str | None,
        names: Sequence[str],
        path: Any,
        missing: Gaps,
        repeats: Literal["refuse", "first"],
        notation: Notation,
        events: Words = NO_EVENTS,
    ) -> None:
        columns = [*names, *events]
        if columns and path is None:
            raise ConfigError(
                f"the model reads columns that are known ahead ({', '.join(columns)}). Give them for the rows to come, "
                "with --known FILE"
            )
        if path is not None and not columns:
            raise ConfigError(f"{path}: the model reads no columns that are known ahead. Leave the file out")
        self.names = tuple(columns)
        self.series = series
        self.long: LongTable | None = None
        self.by_name: dict[str, Table] = {}
        if columns:
            place = existing_file(path, f"a CSV or Parquet file with columns {', '.join(columns)}")
            self.long = read_long(
                place, series, time_column, names, missing=missing, repeats=repeats, notation=notation, events=events
            )
            self.by_name = {one.name: one.table for one in self.long.series}

    def of(self, one: OneSeries, count: int) -> OneSeries:
        """Return the ``count`` rows to come of a series, with the columns that are known ahead.

        Raises:
            DataError: The file has not all of these rows.
        """
        times = one.table.times
        ahead = None if times is None else following(times, count, str(one.table.path))
        line_R = np.zeros(count, dtype=np.int64)
        empty = Table(one.table.path, (), np.empty((count, 0)), line_R, times=ahead)
        if not self.names:
            return replace(one, table=empty)
        whose = one.name if self.series else ""
        own = self.by_name.get(whose)
        if own is None:
            assert self.long is not None
            raise DataError(
                f"{self.long.path}: no rows of series '{shortened(one.name)}'. Expected the next {count:,}; it has "
                f"those of {listed(list(self.by_name))}"
            )
        if ahead is None:
            rows = np.arange(count)
            if len(own.line_R) < count:
                raise self._ends_early(own, whose, f"{count:,} rows", f"{len(own.line_R):,}")
        else:
            rows = self._rows(own, whose, ahead)
        return replace(one, table=replace(empty, names=own.names, values_RN=own.values_RN[rows]))

    def _rows(self, own: Table, name: str, ahead: Times) -> np.ndarray:
        """Return the row of each time to come."""
        assert own.times is not None
        if (own.times.moment_R is None) != (ahead.moment_R is None):
            raise DataError(f"{own.path}, column '{ahead.column}': dates in one file and numbers in the other")
        at_R, at_F = _comparable(own.times), _comparable(ahead)
        rows_F = np.searchsorted(at_R, at_F)
        missing_F = at_R[np.minimum(rows_F, len(at_R) - 1)] != at_F
        if not missing_F.any():
            return np.asarray(rows_F)

        def said(at: int) -> str:
            return str(at) if ahead.moment_R is None else in_iso(np.array([at]), at_F, ahead.zone)[0]

        first = at_F[missing_F.argmax()]
        if first > at_R[-1]:
            raise self._ends_early(own, name, said(at_F[-1]), said(at_R[-1]))
        whose = f" of series '{shortened(name)}'" if name else ""
        raise DataError(f"{own.path}: no row{whose} for {said(first)}")

    def _ends_early(self, own: Table, name: str, due: str, last: str) -> DataError:
        whose = f"series '{shortened(name)}' ends" if name else "ends"
        return DataError(f"{own.where(-1)}: {whose} at {last}. Expected {', '.join(self.names)} up to {due}")


def _comparable(times: Times) -> np.ndarray:
    """Return times as numbers that do not depend on the step of their file."""
    return times.at_R if times.moment_R is None else times.moment_R

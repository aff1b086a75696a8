"""Tables of numbers from CSV and Parquet files: a cell that cannot be used is named, never guessed."""

# R rows, N columns

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from seqkit.errors import ConfigError, DataError, shortened
from seqkit.inputs.delimited import (
    EXCEL,
    MARKS,
    PARQUET,
    Separator,
    find_separator,
    first_bad_line,
    first_line,
    listed,
    no_column,
    read_frame,
)
from seqkit.inputs.frames.csv_head import plain_number, refuse_no_header
from seqkit.inputs.frames.dates import EXAMPLE, date_formats, in_microseconds
from seqkit.inputs.frames.decimals import (
    DECIMALS,
    Decimal,
    ambiguous_row,
    as_each,
    certain_row,
    holds_numbers,
    is_plain,
    numbers,
)
from seqkit.inputs.frames.events import Words, indicators
from seqkit.inputs.frames.times import Times, moment, offset, whole_number

Fill = Literal["refuse", "forward", "interpolate"]
Gaps = Literal["refuse", "forward", "interpolate", "mask"]

FILE = "a CSV, TSV, Parquet or Excel file"
LARGEST = float(np.finfo(np.float32).max)
NO_EVENTS: Words = {}
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")  # cells of a CSV file that hold no value


@dataclass(frozen=True)
class Notation:
    """How the cells of a delimited file are separated and written; None is found by the file itself.

    Attributes:
        separator: Between the cells.
        decimal: The decimal mark.
        date_format: Of the times, as of strftime.
        found: Whether these were found in another file of the kind: they then settle only what a file leaves open.
    """

    separator: Separator | None = None
    decimal: Decimal | None = None
    date_format: str | None = None
    found: bool = False

    @property
    def words(self) -> str:
        """The notation in words, for a report."""
        parts = [f"separated by {self.separator}"] if self.separator else []
        parts += [f"decimal {self.decimal}"] if self.decimal else []
        return ", ".join([*parts, *([f"times as {self.date_format}"] if self.date_format else [])])


UNKNOWN = Notation()


@dataclass(frozen=True)
class Table:
    """Columns of numbers in the order of the file.

    Attributes:
        path: Where they were read.
        names: N column names.
        values_RN: The numbers, float64, nan where the file has none.
        line_R: Where each row stands in the file, as messages name it; 0 where it does not.
        text: Columns that hold no numbers and were left out.
        made: Columns that were made of words.
        times: When the rows were taken; None where that is not known.
        notation: How the file was read.
        settled: Whether its decimal mark was given, so that 1,234 is what the mark makes of it.
        original: Name in the file of the first column, where that was given another one.
    """

    path: Path
    names: tuple[str, ...]
    values_RN: np.ndarray
    line_R: np.ndarray
    text: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    times: Times | None = None
    notation: Notation = UNKNOWN
    settled: bool = False
    original: str | None = None

    def title(self, name: str) -> str:
        """Return the name that a column has in the file, shortened for a message."""
        return shortened(self.original if self.original is not None and name == self.names[0] else name)

    def where(self, row: int) -> str:
        """Say where a row is: the path with the line of a CSV file or the row of a Parquet file, from 1."""
        return f"{self.path}, {'row' if _is_typed(self.path) else 'line'} {self.line_R[row]}"


def read_table(
    path: Path,
    time_column: str | None,
    wanted: Sequence[str] = (),
    others: bool = True,
    notation: Notation = UNKNOWN,
    events: Words = NO_EVENTS,
) -> Table:
    """Read the columns of numbers, and the times, of a file.

    Args:
        path: A CSV or TSV file (also gzipped) with a header line, a Parquet file, or an Excel workbook of one sheet.
        time_column: Column of dates or times, or of whole numbers.
        wanted: Columns that must hold numbers.
        others: Whether to read all other columns of numbers too.
        notation: As far as it is known.
        events: Columns of words; what is made of them follows the columns of numbers.

    Raises:
        DataError: The file cannot be read or is empty, a column is not there, a cell is not what its column holds, or
            could be read in two ways.
    """
    known_time = () if time_column is None else (time_column,)
    frame, table = open_table(path, wanted, [*known_time, *events], notation, others)
    left = [name for name in frame.columns if name != time_column and name not in events]
    columns, text = columns_of_numbers(table, frame, left if others else [n for n in left if n in wanted], wanted)
    made = indicators(path, frame, events)
    columns |= made
    if not columns:
        raise DataError(f"{path}: no column of numbers. Columns: {listed(frame.columns)}")
    times = None if time_column is None else times_of(table, frame[time_column])
    return replace(
        table,
        names=tuple(columns),
        values_RN=np.stack([*columns.values()], 1),
        text=text,
        made=tuple(made),
        times=times,
        notation=replace(table.notation, date_format=times.format if times else None, found=False),
    )


def columns_of_numbers(
    table: Table, frame: Any, names: Sequence[str], wanted: Sequence[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the numbers of columns by name, nan where empty, and the names of those that hold text.

    Args:
        table: See ``open_table``.
        frame: Likewise.
        names: Of the columns.
        wanted: Those that must hold numbers.

    Raises:
        DataError: A column has no name or no value, or a cell is not what its column holds.
    """
    columns, text = {}, []
    for name in names:
        values = numbers_of(table, frame[name], required=name in wanted)
        if values is None:
            text.append(name)
        elif name == "":
            number = frame.columns.index(name) + 1
            raise DataError(
                f"{table.path}: column {number} has no name in the header. Name it there, or list the columns to read "
                "in data.inputs and data.targets"
            )
        elif np.isnan(values).all():
            raise DataError(
                f"{table.path}, column '{shortened(name)}': no value in any row. Leave it out of the file, or out of "
                "data.inputs and data.targets"
            )
        else:
            columns[name] = values
    return columns, tuple(text)


def open_table(
    path: Path,
    wanted: Sequence[str],
    others: Sequence[str] = (),
    notation: Notation = UNKNOWN,
    numbers: bool = False,
) -> tuple[Any, Table]:
    """Return the cells of a file as a polars frame, of a CSV file all as text, and a table of its rows without columns.

    Args:
        path: As of ``read_table``.
        wanted: Columns that must be there and hold numbers.
        others: Columns that must be there too.
        notation: As far as it is known.
        numbers: Whether all other columns of numbers are of interest too.

    Raises:
        DataError: The file cannot be read or is empty, a column is not there, or decimal marks are mixed.
    """
    separator = None if _is_typed(path) else _separator(path, notation)
    frame = _read_csv(path, MARKS[separator]) if separator else read_frame(path)
    if separator:
        refuse_no_header(path, frame.columns, frame.row(0, named=True) if frame.height else {}, wanted)
    for name in [*wanted, *others]:
        if name not in frame.columns:
            raise no_column(path, name, frame.columns)
    if frame.height == 0:
        raise DataError(f"{path}: has no rows below its header. Expected one row a time step")
    line_R = np.arange(frame.height) + (1 if path.suffix in PARQUET else 2)
    table = Table(path, (), np.empty((frame.height, 0)), line_R)
    read = [name for name in frame.columns if name in wanted or (numbers and name not in others)]
    decimal, settled = _decimal(table, [frame[name] for name in read], wanted, separator, notation)
    return frame, replace(table, notation=replace(notation, separator=separator, decimal=decimal), settled=settled)


def observed(name: str) -> str:
    """Return the name of the column that says where a column was observed."""
    return f"{name} observed"


def fill(table: Table, how: Gaps) -> tuple[Table, int]:
    """Make the steps even and every cell a number.

    Args:
        table: As read.
        how: ``refuse`` what is not so already; put in rows that are missing between even times, and fill every empty
            cell with the last value before it (``forward``) or on the line between its neighbours (``interpolate``); or
            fill forward, and follow the columns by one each that is 1 where the cell was there and 0 where it was not
            (``mask``).

    Returns:
        The table and how many of its cells were filled.

    Raises:
        DataError: A value is missing and cannot or must not be filled; or times do not rise in even steps.
    """
    empty_RN = np.isnan(table.values_RN)
    if how == "refuse" and empty_RN.any():
        row, column = (int(index) for index in np.argwhere(empty_RN)[0])
        raise DataError(
            f"{table.where(row)}, column '{table.title(table.names[column])}': no value "
            f"({_count(int(empty_RN.sum()))}). Expected a number; data.missing=forward or data.missing=interpolate "
            "fills what is missing"
        )
    for row, side in ((0, "before"), (-1, "after")):
        if empty_RN[row].any() and (how == "interpolate" or row == 0):
            column = int(empty_RN[row].argmax())
            raise DataError(
                f"{table.where(row)}, column '{table.title(table.names[column])}': no value, and none {side} it that "
                f"data.missing={how} could fill it from. Leave such rows out of the file"
            )
    table = _even(table, how)
    empty_RN = np.isnan(table.values_RN)
    if not empty_RN.any() and how != "mask":
        return table, 0
    row_R = np.arange(len(table.values_RN))
    values_RN = table.values_RN.copy()
    for column, empty_R in enumerate(empty_RN.T):
        if how == "interpolate":
            values_RN[empty_R, column] = np.interp(row_R[empty_R], row_R[~empty_R], values_RN[~empty_R, column])
        else:
            last_R = np.maximum.accumulate(np.where(empty_R, 0, row_R))
            values_RN[:, column] = values_RN[last_R, column]
    names = table.names
    if how == "mask":
        names, values_RN = (*names, *map(observed, names)), np.hstack((values_RN, ~empty_RN))
    return replace(table, names=names, values_RN=values_RN), int(empty_RN.sum())


def refuse_no_logarithm(table: Table, names: Sequence[str]) -> None:
    """Refuse columns of which a value has no logarithm; raises ``DataError``."""
    values_RN = table.values_RN[:, [table.names.index(name) for name in names]]
    if (values_RN <= 0).any():
        row, column = (int(index) for index in np.argwhere(values_RN <= 0)[0])
        raise DataError(
            f"{table.where(row)}, column '{table.title(names[column])}': {values_RN[row, column]:g} has no logarithm. "
            "Expected numbers above 0, or data.transform=none"
        )


def last_rows(table: Table, count: int) -> Table:
    """Return the table's last ``count`` rows."""
    return select(table, np.arange(len(table.values_RN))[-count:])


def without_repeats(table: Table) -> tuple[Table, int]:
    """Drop each row whose time is that of the row before it; return the table and how many rows were dropped."""
    if table.times is None:
        return table, 0
    keep_R = np.diff(table.times.at_R, prepend=table.times.at_R[0] - 1) != 0
    return select(table, keep_R), int((~keep_R).sum())


def select(table: Table, rows: np.ndarray) -> Table:
    """Return some of a table's rows."""
    times = table.times
    if times is not None:
        moment_R = None if times.moment_R is None else times.moment_R[rows]
        times = replace(times, at_R=times.at_R[rows], moment_R=moment_R)
    return replace(table, values_RN=table.values_RN[rows], line_R=table.line_R[rows], times=times)


def _separator(path: Path, notation: Notation) -> Separator:
    if not notation.found:
        return find_separator(path, notation.separator)
    try:
        return find_separator(path)
    except DataError:
        return find_separator(path, notation.separator)


def _read_csv(path: Path, mark: str) -> Any:
    import polars as pl

    try:
        # As text: polars would turn a whole column with one stray cell to text, and hide which cell it was.
        frame = pl.read_csv(path, infer_schema=False, separator=mark)
    except pl.exceptions.NoDataError:
        raise DataError(f"{path}: is empty. Expected a header line and one line a time step") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        if bad := first_bad_line(path, mark):
            raise DataError(f"{path}, line {bad[0]}: {bad[1]}") from None
        raise DataError(f"{path}: cannot be read as CSV: {first_line(error)}") from None
    names = [re.sub(r"_duplicated_\d+$", "", name).strip() for name in frame.columns]
    if any("\ufffd" in name for name in names):
        raise DataError(f"{path}, line 1: the header is not UTF-8. Save the file as UTF-8")
    if any(re.search(r"\r(?!\n)", name) for name in names):
        raise DataError(
            f"{path}: its lines end in carriage returns alone. Save it with the line ends of Unix or Windows"
        )
    repeated = [name for number, name in enumerate(names) if name and name in names[:number]]
    if repeated:
        raise DataError(f"{path}: two columns are named '{shortened(repeated[0])}'. Expected one each")
    frame = frame.with_columns(pl.all().str.strip_chars()).with_columns(
        pl.when(pl.all().is_in(MISSING)).then(None).otherwise(pl.all()).name.keep()
    )
    frame.columns = names
    blank_R = frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
    rows = len(blank_R) - int(np.argmin(blank_R[::-1])) if not blank_R.all() else 0
    return frame.head(rows)  # blank lines at the end of a file are no rows


def _decimal(
    table: Table, columns: Sequence[Any], wanted: Sequence[str], separator: Separator | None, notation: Notation
) -> tuple[Decimal | None, bool]:
    """Return the decimal mark of columns, None where their cells do not tell, and whether it was given.

    Raises:
        DataError: Both marks are there.
    """
    import polars as pl

    if notation.decimal and not notation.found:
        return notation.decimal, True
    texts = [series for series in columns if series.dtype == pl.String]
    plain = [series for series in texts if is_plain(series)]
    others = [series for series in texts if not is_plain(series) and (series.name in wanted or holds_numbers(series))]
    if not others and separator != "semicolon" and not notation.decimal:  # the usual table, quickly
        points = any(bool(series.str.contains(".", literal=True).any()) for series in plain)
        return ("point" if points else None), False
    certain: dict[Decimal, tuple[int, Any]] = {}
    for series in [*plain, *others]:
        for decimal in DECIMALS:
            row = certain_row(series, decimal)
            if row is not None:
                certain.setdefault(decimal, (row, series))
    if len(certain) == 2:
        found = sorted(certain.values(), key=lambda cell: cell[0])
        cells = [f"'{series[row]}' in {table.where(row).rpartition(', ')[2]}" for row, series in found]
        raise DataError(f"{table.path}: decimal points and decimal commas are mixed, {' and '.join(cells)}")
    if certain:
        [decimal] = certain
        return decimal, notation.decimal == decimal
    if notation.decimal:
        return notation.decimal, True
    return None, False


def _ambiguous(table: Table, series: Any, row: int) -> DataError:
    point, comma = as_each(series[row])
    return DataError(
        f"{table.where(row)}, column '{shortened(series.name)}': '{series[row]}' may be {point} or {comma}. "
        f"Say data.decimal=point for {point}, data.decimal=comma for {comma}"
    )


def numbers_of(table: Table, series: Any, required: bool) -> np.ndarray | None:
    """Return a column as float64, nan where empty; None for a column of text that nobody asked for."""
    import polars as pl

    if series.dtype.is_numeric() or (series.dtype == pl.Null and required):
        read = series.cast(pl.Float64)
    elif series.dtype == pl.String:
        known = table.notation.decimal
        decimal = known or "point"
        read = numbers(series, decimal)
        bad_R = (read.is_null() & series.is_not_null()).to_numpy()
        if bad_R.any():
            row = int(bad_R.argmax())
            plain = plain_number(series[row])
            if not required and bool((read.is_null() | read.is_nan()).all()):
                if not (holds_numbers(series) or all(plain_number(cell) for cell in series.drop_nulls())):
                    return None
                plain = plain and f"{plain}, or list the columns to read in data.inputs and data.targets"
            advice = f". Write it as {plain}" if plain else ""
            raise DataError(
                f"{table.where(row)}, column '{shortened(series.name)}': '{shortened(series[row])}' is not a number"
                + (f" with a decimal {decimal}" if table.settled or decimal == "comma" else "")
                + advice
            )
        # Without other numbers to tell, 1.234 is one of a decimal point: not so where a semicolon hints at commas.
        open_marks = DECIMALS if known is None and table.notation.separator == "semicolon" else (decimal,)
        for mark in () if table.settled else open_marks:
            doubtful = ambiguous_row(series, mark)
            if doubtful is not None:
                raise _ambiguous(table, series, doubtful)
    elif required:
        raise DataError(f"{table.path}: column '{series.name}' holds {series.dtype}. Expected numbers")
    else:
        return None
    values_R = read.fill_null(np.nan).to_numpy().astype(np.float64)
    if np.isinf(values_R).any():
        row = int(np.isinf(values_R).argmax())
        raise DataError(f"{table.where(row)}, column '{series.name}': {values_R[row]} is not a finite number")
    if (large_R := np.abs(values_R) > LARGEST).any():  # nan compares as False
        row = int(large_R.argmax())
        raise DataError(
            f"{table.where(row)}, column '{shortened(series.name)}': {values_R[row]:g} does not fit single precision. "
            f"Expected numbers up to {LARGEST:.1e}; scale the column"
        )
    return values_R


def times_of(table: Table, series: Any) -> Times:
    """Return a column of dates, times or whole numbers as times, all of the kind of its first cell."""
    import polars as pl

    cells, notation = series.to_list(), table.notation
    given = None if notation.found or series.dtype != pl.String else notation.date_format
    if given or (isinstance(cells[0], str) and moment(cells[0]) is None and date_formats(cells[0])):
        at_R, found = _dates(table, series, given, notation.date_format)
        return replace(_counted(series.name, at_R), format=found)
    parse, expected = moment, "an ISO 8601 time, as in the first row"
    if moment(cells[0]) is None:
        parse, expected = whole_number, "a whole number, as in the first row"
    if parse(cells[0]) is None:
        expected = (
            "a time such as 2016-07-01 or 2016-07-01 13:30, or a whole number; data.date_format says how others "
            f"are written, as {EXAMPLE}"
        )
    at = []
    for row, cell in enumerate(cells):
        value = parse(cell)
        if value is None:
            raise _no_time(table, series, row, expected)
        at.append(value)
    at_R = np.array(at, dtype=np.int64)
    if parse is whole_number:
        return Times(series.name, "number", at_R)
    _check_zones(table, series.name, cells, at_R)
    return replace(_counted(series.name, at_R), zone=offset(cells[-1]))


def _counted(column: str, at_R: np.ndarray) -> Times:
    """Return moments as times: uneven ones in months, where they stand at the same moment of each."""
    times = Times(column, "microsecond", at_R, at_R)
    return times.in_months() if len(set(np.diff(at_R).tolist())) > 1 else times


def _dates(table: Table, series: Any, given: str | None, expected: str | None) -> tuple[np.ndarray, str]:
    """Return the microseconds of dates that are not in ISO 8601, and their format.

    Args:
        table: For messages.
        series: The cells.
        given: Their format, as the user says it.
        expected: Their format where the cells leave it open.

    Raises:
        DataError: A cell has not the format of the others, or the cells leave open which format they have.
        ConfigError: ``given`` is no format.
    """
    import polars as pl

    tried = [given] if given else list(date_formats(series[0]))
    try:
        read = {format: in_microseconds(series, format) for format in tried}
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"data.date_format={given}: {first_line(error)}. Expected one as {EXAMPLE}") from None
    whole = [format for format, at_R in read.items() if not at_R.null_count()]
    if not whole:
        best = min(tried, key=lambda format: read[format].null_count())
        raise _no_time(table, series, int(read[best].is_null().arg_max()), f"one written as {best}")
    if len(whole) > 1 and expected in whole:
        whole = [expected]
    if len(whole) > 1:
        ways = [f"data.date_format={format} ({_day(read[format][0])})" for format in whole]
        raise DataError(
            f"{table.where(0)}, column '{shortened(series.name)}': '{shortened(series[0])}' may be read as "
            f"{' or '.join(ways)}, and so may all rows. Say which"
        )
    return read[whole[0]].to_numpy(), whole[0]


def _no_time(table: Table, series: Any, row: int, expected: str) -> DataError:
    cell = series[row]
    found = "no time" if cell is None else f"'{shortened(cell)}' is not a time"
    return DataError(f"{table.where(row)}, column '{shortened(series.name)}': {found}. Expected {expected}")


def _day(microseconds: int) -> str:
    return str(np.datetime64(microseconds, "us").astype("datetime64[D]"))


def _check_zones(table: Table, column: str, cells: Sequence[Any], at_R: np.ndarray) -> None:
    """Refuse times of which only some say their time zone, and those that fall where their zone changes."""
    zones = [offset(cell) for cell in cells]
    if len(set(zones)) < 2:
        return
    other_R = np.array([zone != zones[0] for zone in zones])
    row = int(other_R.argmax())
    if None in zones:
        row = zones.index(None) if zones[0] else row
        has, first = ("no time zone", zones[0]) if zones[0] else (f"time zone {zones[row]}", "none")
        raise DataError(
            f"{table.where(row)}, column '{column}': {has}, the first row has {first}. Expected one for all"
        )
    falls_R = np.diff(at_R) < 0
    if falls_R.any():
        row = int(falls_R.argmax()) + 1
        raise DataError(
            f"{table.where(row)}, column '{column}': an earlier time than the row before, because time zones are mixed "
            f"({', '.join(sorted({zone or '' for zone in zones}))}). Expected one time zone"
        )


def _even(table: Table, how: Gaps) -> Table:
    """Check that times rise in even steps, putting in rows of nan for whole steps left out unless ``how`` refuses."""
    times = table.times
    if times is None or len(times.at_R) < 2:
        return table
    distance_R = np.diff(times.at_R)
    if (distance_R <= 0).any():
        row = int((distance_R <= 0).argmax()) + 1
        raise DataError(f"{table.where(row)}, column '{times.column}': {_not_rising_reason(times.at_R, row)}")
    step = times.step
    whole_R = (distance_R % step == 0) & (times.unit != "month")  # the day of a month left out would be a guess
    bad_R = (distance_R != step) & ((how == "refuse") | ~whole_R)
    if bad_R.any():
        row = int(bad_R.argmax()) + 1
        distance = int(distance_R[row - 1])
        fillable = "data.missing=forward or data.missing=interpolate puts in the rows left out; "
        raise DataError(
            f"{table.where(row)}, column '{times.column}': {times.distance(distance)} after the row before, where most "
            f"rows are {times.distance(step)} apart. Expected even steps; {fillable if whole_R[row - 1] else ''}"
            "without data.time_column the rows count as even"
        )
    if (distance_R == step).all():
        return table
    place_R = (times.at_R - times.at_R[0]) // step
    rows = int(place_R[-1]) + 1
    if rows > 2 * len(place_R):
        row = int(distance_R.argmax()) + 1
        far = times.distance(int(distance_R[row - 1]))
        raise DataError(
            f"{table.where(row)}, column '{times.column}': {far} after the row before; "
            f"filling would make up {rows - len(place_R):,} of {rows:,} rows. Is the time right?"
        )
    values_RN = np.full((rows, len(table.names)), np.nan)
    line_R = np.zeros(rows, dtype=np.int64)
    values_RN[:, [table.names.index(name) for name in table.made]] = 0  # nothing is known to happen there
    values_RN[place_R], line_R[place_R] = table.values_RN, table.line_R
    at_R = times.at_R[0] + step * np.arange(rows)
    even = replace(times, at_R=at_R, moment_R=None if times.moment_R is None else at_R)
    return replace(table, values_RN=values_RN, line_R=line_R, times=even)


def _is_typed(path: Path) -> bool:
    """Whether the cells of a file have types of their own."""
    return path.suffix in PARQUET + EXCEL


def _not_rising_reason(at_R: np.ndarray, row: int) -> str:
    """Return how times fail to rise at ``row``, the first of such rows, and what would be right."""
    copies = int(np.unique(at_R, return_counts=True)[1].min())
    if (copies > 1 and copies < len(at_R)) or (row > 1 and at_R[row] == at_R[0]):
        goes = "goes back to its start" if at_R[row] == at_R[0] and row > 1 else f"has each time {copies} times"
        return (
            f"the column {goes}, as of several series in one table. data.series=COLUMN reads those, COLUMN "
            "naming the series of each row"
        )
    if (np.diff(at_R) < 0).all() and len(at_R) > 2:
        return "an earlier time than the row before, as all rows. Expected rising times; turn the file upside down"
    if at_R[row] < at_R[row - 1]:
        return "an earlier time than the row before. Expected rising times"
    return "the same time as the row before. Expected rising times; data.repeats=first keeps the first of such rows"


def _count(missing: int) -> str:
    return "the only one" if missing == 1 else f"the first of {missing:,}"

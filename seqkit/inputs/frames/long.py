"""Tables of series: one, or many below each other or interleaved, one row per series and step."""

# R rows, N columns of numbers, S series

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from logging import getLogger
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np

from seqkit.errors import DataError, shortened
from seqkit.inputs.frames import calendar
from seqkit.inputs.frames.events import Words, indicators
from seqkit.inputs.frames.latest import local
from seqkit.inputs.frames.tables import (
    NO_EVENTS,
    UNKNOWN,
    Gaps,
    Notation,
    Table,
    columns_of_numbers,
    fill,
    last_rows,
    numbers_of,
    open_table,
    read_table,
    select,
    times_of,
    without_repeats,
)
from seqkit.inputs.frames.times import Times

NAMED = 5  # series that a message names


@dataclass(frozen=True)
class OneSeries:
    """The rows of one series.

    Attributes:
        name: As the table gives it; empty where it is the only one.
        table: Its rows, in even steps.
        static: Its value in each column that is the same at every step: a number, or the text of a category.
        given: Its rows as the file has them: all of them, and nothing filled.
    """

    name: str
    table: Table
    static: Mapping[str, float | str]
    given: Table


@dataclass(frozen=True)
class LongTable:
    """Series, in the order of their first rows.

    Attributes:
        path: Where they were read.
        series: S of them.
        rows: In the file.
        notation: How the file is written.
        filled: Cells that were filled.
        added: Rows that were put in for times left out.
        repeated: Rows left out because they had the time of the row before.
        text: Columns that hold no numbers and were left out.
    """

    path: Path
    series: tuple[OneSeries, ...]
    rows: int
    notation: Notation
    filled: int = 0
    added: int = 0
    repeated: int = 0
    text: tuple[str, ...] = ()

    @property
    def times(self) -> Times | None:
        """Times of the longest series, whose step is that of all."""
        return max(self.series, key=lambda one: len(one.table.line_R)).table.times


def read_long(
    path: Path,
    series: str | None,
    time_column: str | None,
    numbers: Sequence[str],
    static: Sequence[str] = (),
    categories: Sequence[str] = (),
    missing: Gaps = "refuse",
    repeats: Literal["refuse", "first"] = "refuse",
    last: int | None = None,
    notation: Notation = UNKNOWN,
    others: bool = False,
    events: Words = NO_EVENTS,
) -> LongTable:
    """Read the rows of each series, its gaps filled or refused.

    Args:
        path: As of ``read_table``.
        series: Column that names the series of each row; None where all rows are of one, which has nothing static.
        time_column: Column of their times; None where the rows of a series count as even.
        numbers: Columns of numbers that change from step to step.
        static: Columns of numbers that are the same at every step of a series.
        categories: Columns of any text that is the same at every step of a series.
        missing: As of ``fill``.
        repeats: What to do about rows with the time of the row before in their series.
        last: Rows of each series at the end of which gaps matter; None for all.
        notation: How the file is written, as far as it is known.
        others: Whether to read all other columns of numbers too.
        events: As of ``read_table``.

    Raises:
        DataError: As ``read_table`` and ``fill``; or times do not rise within a series, series have different steps,
            or a static column changes within one.
    """
    counts = Counter[str]()
    if series is None:
        whole = read_table(path, time_column, numbers, others, notation, events)
        rows = len(whole.line_R)
        if repeats == "first":
            whole, counts["repeated"] = without_repeats(whole)
        one = OneSeries("", prepared(whole, missing, last, counts, alone=True), {}, whole)
        return LongTable(path, (one,), rows, whole.notation, text=whole.text, **counts)
    beside = [series, *((time_column,) if time_column else ()), *categories, *events]
    frame, table = open_table(path, [*numbers, *static], beside, notation, others)
    first_S, series_R = _codes(frame[series])
    names = _names(table, frame[series], first_S)
    left = [name for name in frame.columns if name not in (*beside, *static)] if others else numbers
    values, text = columns_of_numbers(table, frame, left, numbers)
    made = indicators(path, frame, events)
    values |= made
    if not values:
        raise DataError(f"{path}: no column of numbers beside {', '.join([*beside, *static])}. Expected one to predict")
    times = _times(table, frame[time_column]) if time_column else None
    whole = replace(
        table, names=tuple(values), values_RN=np.stack([*values.values()], 1), made=tuple(made), times=times
    )
    fixed: dict[str, Callable[[int], float | str]] = {}
    for name in static:
        fixed[name] = _static(table, name, numbers_of(table, frame[name], required=True), first_S, series_R)
    for name in categories:
        cells_R = _texts(frame[name]).to_numpy()
        fixed[name] = _static(table, name, cells_R, first_S, series_R)

    order_R = np.argsort(series_R, kind="stable")
    ends = np.searchsorted(series_R[order_R], np.arange(len(names) + 1))
    found = []
    for number, name in enumerate(names):
        given = select(whole, order_R[ends[number] : ends[number + 1]])
        if repeats == "first":
            given, repeated = without_repeats(given)
            counts["repeated"] += repeated
        try:
            own = prepared(given, missing, last, counts)
        except DataError as error:
            raise DataError(f"{error} (series '{shortened(name)}')") from None
        found.append(OneSeries(name, own, {column: value(number) for column, value in fixed.items()}, given))
    _refuse_other_steps(found)
    written = replace(table.notation, date_format=times.format if times else None, found=False)
    return LongTable(path, tuple(found), frame.height, written, text=text, **counts)


def framed(
    one: OneSeries, names: Sequence[str], roles: Sequence[str | None], levels: Sequence[Sequence[str]]
) -> np.ndarray:
    """Return the rows of a series as frames, (R, I) in the units of the data.

    Args:
        one: With all columns that are not made from the time.
        names: Of the I columns.
        roles: Of each, as in ``Frames``; None of one that is not read.
        levels: Of each, likewise.
    """
    table = one.table
    rows = len(table.line_R)
    columns = []
    for name, role, own in zip(names, roles, levels, strict=True):
        if role in ("static", "mean", "scale"):
            value = one.static[name]
            columns.append(np.full(rows, own.index(value) + 1 if value in own else 0 if own else value, dtype=float))
        elif role == "calendar":
            assert table.times is not None
            columns.append(calendar.column(name, local(table.times)))
        else:
            columns.append(table.values_RN[:, table.names.index(name)])
    return np.stack(columns, 1)


def listed(names: Sequence[str]) -> str:
    """Return the first of many names for a message."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(f"'{shortened(name)}'" for name in names[:NAMED]) + more


def prepared(own: Table, missing: Gaps, last: int | None, counts: Counter[str], alone: bool = False) -> Table:
    """Return the rows of a series in even steps and without gaps.

    Args:
        own: Its rows as read.
        missing: As of ``fill``.
        last: As of ``read_long``.
        counts: What was ``filled`` and ``added`` is added there.
        alone: Whether its rows are all rows of the file.

    Raises:
        DataError: As ``fill``; or times do not rise.
    """
    if own.times is not None and not alone:  # of the only series ``fill`` knows more reasons
        _refuse_not_rising(own, own.times)
    if missing == "refuse" and last:  # rows before those that are read may have gaps
        own = last_rows(own, max(last, 2))  # one alone has no step
    rows = len(own.line_R)
    own, filled = fill(own, missing)
    counts["filled"] += filled
    counts["added"] += len(own.line_R) - rows
    return own


def _refuse_not_rising(own: Table, times: Times) -> None:
    distance_R = np.diff(times.at_R)
    if (distance_R > 0).all():
        return
    row = int((distance_R <= 0).argmax()) + 1
    before = own.line_R[row - 1]
    if distance_R[row - 1] == 0:
        raise DataError(
            f"{own.where(row)}, column '{times.column}': the same time as line {before}. Expected one row per series "
            "and step; data.repeats=first keeps the first of such rows"
        )
    raise DataError(
        f"{own.where(row)}, column '{times.column}': an earlier time than line {before}. Expected rising times in each "
        "series"
    )


def _refuse_other_steps(found: Sequence[OneSeries]) -> None:
    """Refuse series of which one has another step than most."""
    steps = {one.name: one.table.times.step for one in found if one.table.times and len(one.table.times.at_R) > 1}
    if len(set(steps.values())) < 2:
        return
    usual = Counter(steps.values()).most_common(1)[0][0]
    one = next(one for one in found if steps.get(one.name, usual) != usual)
    times = one.table.times
    assert times is not None
    raise DataError(
        f"{one.table.where(1)}, column '{times.column}': series '{shortened(one.name)}' has a row every "
        f"{times.distance(steps[one.name])}, most have one every {times.distance(usual)}. Expected one step for all"
    )


def _codes(series: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the row where each distinct cell of a column stands first, and for each row the number of its cell."""
    import polars as pl

    first_R = series.alias("cell").to_frame().with_row_index("row").select(pl.col("row").min().over("cell"))
    return np.unique(first_R.to_series().to_numpy(), return_inverse=True)


def _texts(series: Any) -> Any:
    """Return a column as text; whole numbers have no decimals."""
    import polars as pl

    if series.dtype.is_float() and bool(((series % 1 == 0) | series.is_null()).all()):
        series = series.cast(pl.Int64)
    return series.cast(pl.String)


def _names(table: Table, cells: Any, first_S: np.ndarray) -> list[str]:
    """Return the names of the series; refuses empty ones, one number in two spellings, and a column of other things."""
    texts = _texts(cells).gather(first_S)
    column = cells.name
    spelled: dict[float, str] = {}
    words = []
    for row, name in zip(first_S.tolist(), texts.to_list(), strict=True):
        if name is None:
            raise DataError(f"{table.where(row)}, column '{column}': no name of a series. Expected one in each row")
        number = _number(name)
        if number is None:
            words.append((row, name))
        elif spelled.setdefault(number, name) != name:
            raise DataError(
                f"{table.where(row)}, column '{column}': series '{name}' and '{spelled[number]}' are the same number. "
                "Expected one spelling"
            )
    if len(first_S) > 10 and 2 * len(first_S) > len(cells):
        raise DataError(
            f"{table.path}, column '{column}': {len(first_S):,} different values in {len(cells):,} rows, so most are "
            "no series. Expected the column that names the series of each row; without data.series all rows are one "
            "series, and with data.wide=true each column is one"
        )
    if words and spelled and (few := min(len(words), len(spelled))) * 10 <= len(first_S):
        row = words[0][0] if few == len(words) else int(first_S[texts.to_list().index(next(iter(spelled.values())))])
        getLogger("seqkit").warning(
            "%s, column '%s': '%s' among %s, taken as a series of its own",
            table.where(row), column, shortened(_texts(cells)[row]), "numbers" if few == len(words) else "words",
        )  # fmt: skip
    return texts.to_list()


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _times(table: Table, cells: Any) -> Times:
    """Return the times of a column, of which each distinct cell is read once."""
    first_U, time_R = _codes(cells)
    times = times_of(replace(table, line_R=table.line_R[first_U]), cells.gather(first_U))
    moment_R = None if times.moment_R is None else times.moment_R[time_R]
    return replace(times, at_R=times.at_R[time_R], moment_R=moment_R)


def _static(
    table: Table, name: str, cells_R: Any, first_S: np.ndarray, series_R: np.ndarray
) -> Callable[[int], float | str]:
    """Return the value of each series in a column; refuses one that has none or several."""
    number = cells_R.dtype != object
    empty_R = np.isnan(cells_R) if number else np.array([cell is None for cell in cells_R])
    if empty_R.any():
        row = int(empty_R.argmax())
        raise DataError(f"{table.where(row)}, column '{name}': no value. Expected the same one in all rows of a series")
    cells_S = cells_R[first_S]
    other_R = cells_R != cells_S[series_R]
    if other_R.any():
        row = int(other_R.argmax())
        before = table.line_R[first_S[series_R[row]]]
        raise DataError(
            f"{table.where(row)}, column '{name}': '{shortened(cells_R[row])}', and '"
            f"{shortened(cells_S[series_R[row]])}' in line {before} of the same series. Expected one value per series; "
            "columns that change are listed in data.inputs or data.known"
        )
    return lambda series: float(cells_S[series]) if number else str(cells_S[series])

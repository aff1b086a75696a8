"""Wide tables: many series beside each other, one column each and one row per step."""

# R rows

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from seqkit.errors import DataError
from seqkit.inputs.delimited import listed
from seqkit.inputs.frames.events import Words
from seqkit.inputs.frames.long import LongTable, OneSeries, prepared
from seqkit.inputs.frames.tables import (
    NO_EVENTS,
    UNKNOWN,
    Gaps,
    Notation,
    Table,
    observed,
    read_table,
    select,
    without_repeats,
)

SERIES = "series"
"""Column of the names of the series, in what is written of a wide table."""
VALUE = "value"
"""Column of their values."""


def read_wide(
    path: Path,
    time_column: str | None,
    columns: Sequence[str] = (),
    shared: Sequence[str] = (),
    missing: Gaps = "refuse",
    repeats: Literal["refuse", "first"] = "refuse",
    last: int | None = None,
    notation: Notation = UNKNOWN,
    events: Words = NO_EVENTS,
) -> LongTable:
    """Read each column as a series of its own, from its first value to its last, as a long table would hold them.

    Args:
        path: As of ``read_table``.
        time_column: Column of the times; None where rows count as even.
        columns: One per series, which it names; all columns of numbers that are not shared if there are none.
        shared: Columns of numbers that belong to all series.
        missing: As of ``fill``.
        repeats: What to do about rows with the time of the row before.
        last: Rows of each series at the end of which gaps matter; None for all.
        notation: How the file is written, as far as it is known.
        events: As of ``read_table``; they belong to all series.

    Raises:
        DataError: As ``read_table`` and ``fill``; or there is no series.
    """
    counts = Counter[str]()
    whole = read_table(path, time_column, [*columns, *shared], not columns, notation, events)
    shared = [*shared, *whole.made]
    rows = len(whole.line_R)
    if repeats == "first":
        whole, counts["repeated"] = without_repeats(whole)
    columns = columns or [name for name in whole.names if name not in shared]
    if not columns:
        raise DataError(f"{path}: no column of numbers beside {listed(shared)}. Expected one per series")
    found = []
    for name in columns:
        values_RN = whole.values_RN[:, [whole.names.index(column) for column in (name, *shared)]]
        seen_R = np.flatnonzero(~np.isnan(values_RN[:, 0]))
        given = replace(whole, names=(name, *shared), values_RN=values_RN)
        given = select(given, np.arange(seen_R[0], seen_R[-1] + 1))
        own = prepared(given, missing, last, counts, alone=True)
        found.append(OneSeries(name, _renamed(own, name), {SERIES: name}, _renamed(given, name)))
    return LongTable(path, tuple(found), rows, whole.notation, text=whole.text, **counts)


def _renamed(own: Table, name: str) -> Table:
    """Return the rows of a series, its column and where that was observed named alike in all series."""
    names = {name: VALUE, observed(name): observed(VALUE)}
    return replace(own, names=tuple(names.get(column, column) for column in own.names), original=name)

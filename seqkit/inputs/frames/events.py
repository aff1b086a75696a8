"""Columns of words, such as the names of holidays, as columns of 0 and 1: one per word."""

# R rows

from collections.abc import Iterable, Mapping, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np

from seqkit.errors import DataError, shortened

Words = Mapping[str, Sequence[str] | None]
"""Names of columns, and the words of each that get a column; None for all that it holds."""

MOST = 100  # words of a column
LOG = getLogger("seqkit")


def names(events: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """Return the names of the columns that some words of some columns get."""
    return [f"{name}={word}" for name, words in events for word in words]


def indicators(path: Path, frame: Any, events: Words) -> dict[str, np.ndarray]:
    """Return by name a column (R,) per word, 1 in its rows; an empty or blank cell is none of them.

    A word that has no column is none of them either, which is said.

    Args:
        path: Of the file, for messages.
        frame: Its cells.
        events: See ``Words``.

    Raises:
        DataError: A column has no words, or too many.
    """
    import polars as pl

    columns = {}
    for name, words in events.items():
        cells = frame[name].cast(pl.String).str.strip_chars().replace("", None)
        found = sorted(cells.drop_nulls().unique().to_list())
        if words is None:
            if not 0 < len(found) <= MOST:
                raise DataError(
                    f"{path}, column '{shortened(name)}': {len(found):,} different words. Expected 1 to {MOST}, each "
                    "gets a column; numbers are named in data.known"
                )
            words = found
        elif other := [word for word in found if word not in words]:
            LOG.warning("%s, column '%s': '%s' is no word of the training data; it is taken as none",
                        path, shortened(name), shortened(other[0]))  # fmt: skip
        for word in words:
            columns[f"{name}={word}"] = (cells == word).fill_null(False).to_numpy().astype(np.float64)
    return columns

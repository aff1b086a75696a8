"""Rows to predict from: the last ones of a table, or an array."""

# T time (rows), I numbers per frame

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqkit.errors import DataError
from seqkit.files import existing_file
from seqkit.inputs.frames.tables import FILE, Fill, Notation, Table, fill, last_rows, read_table, without_repeats


def read_rows(
    source: str | Path,
    names: Sequence[str],
    lookback: int | None,
    time_column: str | None,
    missing: Fill,
    repeats: str,
    notation: Notation,
) -> Tensor:
    """Return the last ``lookback`` rows_TI of a table, or all of them.

    Raises:
        DataError: The file cannot be read, lacks a column or has too few rows.
    """
    return rows_of(read_end(source, names, lookback, time_column, missing, repeats, notation), names, lookback)


def read_end(
    source: str | Path,
    names: Sequence[str],
    lookback: int | None,
    time_column: str | None,
    missing: Fill,
    repeats: str,
    notation: Notation,
) -> Table:
    """Return a table of which at least the last ``lookback`` rows are filled and in even steps; raises as above."""
    path = existing_file(source, f"{FILE} with columns {', '.join(names)}")
    table = read_table(path, time_column, names, others=False, notation=notation)
    if repeats == "first":
        table, _ = without_repeats(table)
    if missing == "refuse" and lookback:  # rows before those that are read may have gaps
        table = last_rows(table, max(lookback, 2))  # one alone has no step
    return fill(table, missing)[0]


def rows_of(table: Table, names: Sequence[str], lookback: int | None) -> Tensor:
    """Return the named columns of the last ``lookback`` rows of a table, or of all; raises as above."""
    order = [table.names.index(name) for name in names]
    return _last(torch.from_numpy(table.values_RN[:, order]).float(), lookback, str(table.path))


def read_array(source: Any, names: Sequence[str], lookback: int | None) -> Tensor:
    """Return the last ``lookback`` rows_TI of an array (T, I), or all of them; raises as ``read_rows``."""
    rows_TI = torch.as_tensor(np.asarray(source), dtype=torch.float32)
    if rows_TI.ndim != 2 or rows_TI.shape[1] != len(names):
        shape = tuple(rows_TI.shape)
        raise DataError(f"the array has shape {shape}; expected (rows, {len(names)}): {', '.join(names)}")
    return _last(rows_TI, lookback, "the array")


def _last(rows_TI: Tensor, lookback: int | None, where: str) -> Tensor:
    if not bool(rows_TI.isfinite().all()):
        raise DataError(f"{where} holds values that are not numbers (NaN or infinity)")
    if lookback and len(rows_TI) < lookback:
        raise DataError(f"{where} has {len(rows_TI)} rows; the model was trained to read {lookback}")
    return rows_TI[-lookback:] if lookback else rows_TI

"""Recorded sequences: of a long table, of the .ts files of the UEA archive, of one table each."""

# R rows, N columns of numbers

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqkit.errors import DataError, nearest, shortened
from seqkit.inputs.frames.tables import UNKNOWN, Fill, Notation, Table, fill, numbers_of, open_table

TS = ".ts"  # ending of the files of the UEA and UCR archives, as aeon and sktime read them
EMPTY = ("?", "NaN", "nan", "")


@dataclass(frozen=True)
class Case:
    """A sequence of a .ts file: its rows, and its label, of a class or a number; None where it has none."""

    table: Table
    label: str | None


@dataclass(frozen=True)
class Cases:
    """The sequences of a .ts file.

    Attributes:
        path: Of the file.
        cases: In the order of the file.
        classes: Names of the classes as its header gives them; none where labels are numbers.
        labels: Whether they are classes, numbers (target), or there are none.
    """

    path: Path
    cases: tuple[Case, ...]
    classes: tuple[str, ...] = ()
    labels: str | None = None


def read_ts(path: Path, missing: Fill = "refuse") -> Cases:
    """Read a .ts file: a header of ``@name value``, then a case per line: ``1,2,3:4,5,6:label``.

    Args:
        path: Of the file.
        missing: What to do about ``?``, as of ``fill``.

    Raises:
        DataError: The header or a line is not as this format has it; the message names the line.
    """
    header: dict[str, str] = {}
    cases: list[Case] = []
    dimensions = None
    for number, line in _lines(path):
        where = f"{path}, line {number}"
        if "data" not in header:
            if not line.startswith("@"):
                raise DataError(f"{where}: '{shortened(line)}' before @data. Expected a header of lines with @")
            name, _, value = line[1:].partition(" ")
            header[name.lower()] = value.strip()
            if header.get("timestamps", "").lower() == "true":
                raise DataError(
                    f"{where}: sequences with time stamps in pairs are not read. Expected @timeStamps false"
                )
            continue
        if cases and line.startswith("@"):
            raise DataError(f"{where}: '{shortened(line)}' below @data. Expected one sequence per line")
        labels, classes = _labels(header)
        parts = line.split(":")
        label = parts.pop() if labels else None
        if not parts:
            raise DataError(f"{where}: no ':', so no sequence before its label. Expected dimension:dimension:label")
        said = _dimensions(where, header)
        dimensions = said or dimensions or len(parts)
        if len(parts) != dimensions:
            as_in = "the header" if said else "the first line"
            raise DataError(f"{where}: {len(parts)} dimensions, expected {dimensions} as in {as_in}")
        if label is not None:
            label = label.strip()
            if not label or label == "?":
                raise DataError(f"{where}: no label")
            if classes and label not in classes:
                raise DataError(
                    f"{where}: label '{shortened(label)}' is not in the header. {nearest(label, classes)}"
                    f"Known: {', '.join(classes)}"
                )
        columns = [_values(where, part, dimension) for dimension, part in enumerate(parts, 1)]
        lengths = [len(column) for column in columns]
        if len(set(lengths)) > 1:
            raise DataError(f"{where}: dimensions of {min(lengths)} to {max(lengths)} values. Expected one length each")
        names = tuple(f"dim_{dimension}" for dimension in range(1, dimensions + 1))
        table = Table(path, names, np.stack(columns, 1), np.full(lengths[0], number))
        cases.append(Case(fill(table, missing)[0], label))
    if "data" not in header:
        raise DataError(f"{path}: no line @data. Expected a .ts file of the UEA archive")
    if not cases:
        raise DataError(f"{path}: no sequence below @data. Expected one per line")
    labels, classes = _labels(header)
    return Cases(path, tuple(cases), classes, labels)


def number_columns(path: Path, others: Sequence[str], notation: Notation = UNKNOWN) -> list[str]:
    """Return the columns of numbers of a table beside those named; refuses a table without, and as ``open_table``."""
    frame, table = open_table(path, (), others, notation, numbers=True)
    left = [name for name in frame.columns if name not in others]
    found = [name for name in left if numbers_of(table, frame[name], required=False) is not None]
    if not found:
        raise DataError(f"{path}: no column of numbers beside {', '.join(others)}. Expected what the model reads")
    return found


def _dimensions(where: str, header: dict[str, str]) -> int | None:
    """Return how many dimensions the header of a .ts file says its cases have, None where it does not."""
    said = header.get("dimensions")
    if said is None:
        return 1 if header.get("univariate", "").lower() == "true" else None
    if not said.isdigit() or not int(said):
        raise DataError(f"{where}: @dimensions {shortened(said)} in the header is no number. Expected one from 1")
    return int(said)


def _labels(header: dict[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """Return whether the labels of a .ts file are classes or targets, None where it has none, and the classes."""
    flag, *classes = header.get("classlabel", "false").split() or ["false"]
    if flag.lower() == "true":
        return "classes", tuple(classes)
    if header.get("targetlabel", "false").lower().startswith("true"):
        return "target", ()
    return None, ()


def _values(where: str, text: str, dimension: int) -> np.ndarray:
    values = []
    for cell in text.split(","):
        cell = cell.strip()
        try:
            value = np.nan if cell in EMPTY else float(cell)
        except ValueError:
            raise DataError(f"{where}, dimension {dimension}: '{shortened(cell)}' is not a number") from None
        if np.isinf(value):
            raise DataError(f"{where}, dimension {dimension}: {value} is not a finite number")
        values.append(value)
    return np.array(values)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file that are not blank and no comment, with their numbers."""
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.decode("utf-8-sig").strip()
                if text and not text.startswith(("#", "%")):
                    yield number, text
    except UnicodeDecodeError:
        raise DataError(f"{path}, line {number}: is not UTF-8. Save the file as UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None

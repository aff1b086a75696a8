"""Refusals by the first bytes and lines of a CSV file: another format, another separator, no header line."""

import csv
import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqkit.errors import DataError, shortened
from seqkit.inputs.frames.times import moment

FORMATS = {
    b"PK\x03\x04": "an Excel workbook or another zip archive; save its sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save its sheet as CSV",
    b"PAR1": "a Parquet file; name it with the ending .parquet",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    b"\x89HDF": "an HDF5 file; save its table as CSV or Parquet",
    b"SQLite f": "an SQLite database; save its table as CSV or Parquet",
}
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
DIGITS = 1000  # characters of the first line that are looked at

# Numbers as people write them and Python does not read them, with how to make them plain.
OTHERWISE = (
    (re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?"), {",": ""}),  # 5,123,456
    (re.compile(r"[-+]?\d+,\d+"), {",": "."}),  # 5,3
    (re.compile(r"[-+]?\d{1,3}(\.\d{3})+,\d+"), {".": "", ",": "."}),  # 5.123,4
    (re.compile(r"[-+]?\d{1,3}(\.\d{3}){2,}"), {".": ""}),  # 5.123.456
    (re.compile(r"[-+]?\d{1,3}([ '\u00a0\u202f]\d{3})+([.,]\d+)?"), dict.fromkeys(" '\u00a0\u202f", "") | {",": "."}),
    (re.compile(r"[-+]?\d+(\.\d+)?\s?[%€$£]"), {"%": "", "€": "", "$": "", "£": "", " ": ""}),  # 12 %
    (re.compile(r"[€$£]\s?[-+]?\d+(\.\d+)?"), {"€": "", "$": "", "£": "", " ": ""}),  # $5.20
)


def refuse_other_formats(path: Path) -> None:
    """Refuse a file that is no CSV by its first bytes, or whose columns are separated otherwise than by commas.

    Raises:
        DataError: Names the format, or the separator.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
        with gzip.open(path) if start.startswith(b"\x1f\x8b") else path.open("rb") as file:
            line = file.readline(DIGITS)
    except (OSError, EOFError):  # reading it will say so
        return
    for magic, name in FORMATS.items():
        if line.startswith(magic):
            raise DataError(f"{path}: is {name}. Expected a CSV file")
    if b"\0" in line:
        raise DataError(f"{path}, line 1: holds NUL bytes, so it is no UTF-8 text. Expected a CSV file")
    names = re.sub(rb'"[^"]*"', b"", line)
    separator = max(SEPARATORS, key=lambda mark: names.count(mark.encode()))
    if names.count(separator.encode()) > names.count(b","):
        raise DataError(
            f"{path}, line 1: columns are separated by {SEPARATORS[separator]}. Expected commas, and points in "
            "decimal numbers; save the file so"
        )


def refuse_no_header(path: Path, names: Sequence[str], first: Mapping[str, str | None], wanted: Sequence[str]) -> None:
    """Refuse a table whose first line holds values where names are expected.

    Names 0, 1, 2, ... of several columns pass: so pandas writes columns that have none.

    Args:
        path: Of the file.
        names: As the first line gives them.
        first: First cell below each name.
        wanted: Names that the user asked for, which therefore are names.

    Raises:
        DataError: All names are numbers or times, or one is a time with times below it.
    """
    if set(wanted) & set(names) or (len(names) > 1 and list(names) == [str(number) for number in range(len(names))]):
        return
    times = [name for name in names if _is_time(name) and _is_time(first[name] or "")]
    if times or (any(names) and all(_is_number(name) or _is_time(name) for name in names if name)):
        held = ", ".join(f"'{shortened(name, 30)}'" for name in names[:2])
        raise DataError(
            f"{path}: no header line: line 1 holds {held}{', ...' if len(names) > 2 else ''}. "
            "Expected the names of the columns in line 1"
        )


def plain_number(cell: str) -> str | None:
    """Return a number written as 5,123,456 or 5,3 or 12 % in the way that is read; None for other text."""
    for pattern, changes in OTHERWISE:
        if len(cell) < 40 and pattern.fullmatch(cell):
            for old, new in changes.items():
                cell = cell.replace(old, new)
            return cell
    return None


def first_bad_line(path: Path) -> tuple[int, str] | None:
    """Return the number of the first line that is not UTF-8 or has more cells than the header, and its fault."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            width = 0  # cells of the header
            for number, line in enumerate(file, 1):
                cells = next(csv.reader([line.decode("utf-8-sig")]), [])
                width = width or len(cells)
                if len(cells) > width:
                    return number, f"{len(cells)} cells, the header has {width}; a comma inside a cell needs quotes"
    except UnicodeDecodeError:
        return number, "is not UTF-8. Save the file as UTF-8"
    except (OSError, EOFError, csv.Error):
        pass
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return plain_number(text) is not None
    return True


def _is_time(text: str) -> bool:
    return moment(text) is not None and not text.isdigit()

"""Refusals by the first lines of a table: no header line, numbers with units."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqkit.errors import DataError, shortened
from seqkit.inputs.frames.dates import date_formats
from seqkit.inputs.frames.decimals import is_number
from seqkit.inputs.frames.times import moment

# Numbers with a unit, with how to make them plain.
UNITS = (
    (re.compile(r"[-+]?\d+(\.\d+)?\s?[%€$£]"), {"%": "", "€": "", "$": "", "£": "", " ": ""}),  # 12 %
    (re.compile(r"[€$£]\s?[-+]?\d+(\.\d+)?"), {"€": "", "$": "", "£": "", " ": ""}),  # $5.20
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
    """Return a number written with its unit, as 12 %, without it; None for other text."""
    for pattern, changes in UNITS:
        if len(cell) < 40 and pattern.fullmatch(cell):
            for old, new in changes.items():
                cell = cell.replace(old, new)
            return cell
    return None


def _is_number(text: str) -> bool:
    return is_number(text) or plain_number(text) is not None


def _is_time(text: str) -> bool:
    return (moment(text) is not None and not text.isdigit()) or bool(date_formats(text))

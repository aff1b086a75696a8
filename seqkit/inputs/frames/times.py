"""When the rows of a series were taken: dates, times or numbers, as whole numbers that can be counted with."""

# R rows

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import numpy as np

SECOND = 1_000_000  # microseconds
DAY = 86_400 * SECOND
MONTH = re.compile(r"(\d{4})(?:-(\d\d)|[- ]?Q([1-4]))")
ZONE = re.compile(r"[T ]\d.*?(Z|[+-]\d\d(?::?\d\d)?)$")


@dataclass(frozen=True)
class Times:
    """When the rows were taken, as whole numbers.

    Attributes:
        column: Name of the column in the file.
        unit: What one is: a microsecond (since 1970), a calendar month (since year 0), or a bare number.
        at_R: The times.
        moment_R: The times in microseconds; None for bare numbers.
        format: Of the column in the file; None for ISO 8601.
        zone: Time zone of the last row, as ``offset`` gives it; None where it names none.
    """

    column: str
    unit: Literal["microsecond", "month", "number"]
    at_R: np.ndarray
    moment_R: np.ndarray | None = None
    zone: str | None = None
    format: str | None = None

    @property
    def step(self) -> int:
        """The most common distance of neighbouring rows."""
        return Counter(np.diff(self.at_R).tolist()).most_common(1)[0][0] if len(self.at_R) > 1 else 1

    @property
    def season(self) -> int | None:
        """Rows of the period that people expect of such steps: a day, a week of days, a year of months."""
        if self.unit == "number":
            return None
        if self.unit == "month":
            return 12 // self.step if self.step < 12 and 12 % self.step == 0 else None
        if self.step == DAY:
            return 7
        return DAY // self.step if self.step < DAY and DAY % self.step == 0 else None

    @property
    def rate(self) -> float | None:
        """Rows a second, None where a step has no fixed duration."""
        return SECOND / self.step if self.unit == "microsecond" else None

    def in_months(self) -> "Times":
        """Return the times counted in calendar months where they can be, as they are otherwise."""
        months_R = None if self.moment_R is None else months(self.moment_R)
        return self if months_R is None else replace(self, unit="month", at_R=months_R)

    def distance(self, steps: int) -> str:
        """Say a difference of times as a person would: ``0:30:00``, ``1 month``."""
        if self.unit == "microsecond":
            return str(timedelta(microseconds=int(steps)))
        if self.unit == "month":
            return f"{steps} month{'s' if steps != 1 else ''}"
        return str(steps)


def moment(cell: Any) -> int | None:
    """Return a cell that holds a date or time, or one in ISO 8601, as ``microseconds`` does; None for others.

    A month (2024-07) or quarter (2024-Q3) is its first day.
    """
    try:
        if isinstance(cell, str) and (match := MONTH.fullmatch(cell)):
            year, month, quarter = match.groups()
            cell = date(int(year), int(month) if month else 3 * int(quarter) - 2, 1)
        return microseconds(datetime.fromisoformat(cell) if isinstance(cell, str) else cell)
    except (ValueError, AttributeError):  # not ISO 8601, or no date at all
        return None


def offset(cell: Any) -> str | None:
    """Return the time zone that a time names, as ``+01:00``; None where it names none."""
    if isinstance(cell, datetime) and cell.tzinfo:
        return cell.isoformat()[-6:]
    match = ZONE.search(cell) if isinstance(cell, str) else None
    return match[1].replace("Z", "+00:00") if match else None


def whole_number(cell: Any) -> int | None:
    """Return a cell that holds a whole number; None for others."""
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**62 else None


def microseconds(moment: date) -> int:
    """Return a date or time as microseconds since 1970, taken as UTC where it names no zone."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def months(at_R: np.ndarray) -> np.ndarray | None:
    """Return times as calendar months if all stand at the same moment of theirs, or at the end of it; None if not."""
    at = at_R.astype("datetime64[us]")
    month = at.astype("datetime64[M]")
    number_R = month.astype(np.int64) + 1970 * 12
    since_start = (at - month).astype(np.int64)
    to_end = ((month + 1).astype("datetime64[us]") - at).astype(np.int64)
    aligned = bool((since_start == since_start[0]).all() or (to_end == to_end[0]).all())
    return number_R if aligned and (np.diff(number_R) != 0).all() else None

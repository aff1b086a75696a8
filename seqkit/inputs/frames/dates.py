"""Dates as people write them: 31.12.2024, 12/31/24 5:30 PM, 31-Dec-2024."""

import re
from typing import Any

DATE = re.compile(r"(\d{1,4})([./-])(\d{1,2}|[A-Za-z]{3,9})\2(\d{1,4})")
WORDS = re.compile(r"(\d{1,2} [A-Za-z]{3,9}\.? \d{4})|([A-Za-z]{3,9} \d{1,2}, \d{4})")
TIME = re.compile(r"([ T])\d{1,2}:\d\d(:\d\d)?(\.\d+)?( ?[AaPp][Mm])?")
EXAMPLE = "%d/%m/%Y"


def date_formats(cell: str) -> tuple[str, ...]:
    """Return the formats that a date may have, none for other text. A date with points has its day before its month."""
    if match := DATE.match(cell):
        mark, first, last = match[2], len(match[1]), len(match[4])
        month = "%m" if match[3].isdigit() else "%b" if len(match[3]) == 3 else "%B"
        named = month != "%m" or mark == "."
        orders = (
            [("%Y", month, "%d")] if first == 4 else [("%d", month, "%Y"), (month, "%d", "%Y")][: 1 if named else 2]
        )
        if first <= 2 and last <= 2:
            orders = [("%d", month, "%y"), (month, "%d", "%y"), ("%y", month, "%d")]
            orders = orders[:1] if named else orders
        dates = [mark.join(order) for order in orders]
    elif match := WORDS.match(cell):
        words = cell.split()
        month = "%b" if len(next(word for word in words if word[0].isalpha()).rstrip(".")) == 3 else "%B"
        dates = [f"%d {month} %Y" if match[1] else f"{month} %d, %Y"]
    else:
        return ()
    rest = cell[match.end() :]
    time = TIME.fullmatch(rest)
    if rest and not time:
        return ()
    if not time:
        return tuple(dates)
    clock = f"{time[1]}{'%I' if time[4] else '%H'}:%M{':%S' if time[2] else ''}{'%.f' if time[3] else ''}"
    half = f"{' ' if ' ' in time[4] else ''}%p" if time[4] else ""
    return tuple(f"{date}{clock}{half}" for date in dates)


def in_microseconds(series: Any, format: str) -> Any:
    """Return a polars column of text as microseconds since 1970; null where a cell has not this format.

    Args:
        series: The cells.
        format: As of strftime; a year of ``%Y`` has four digits.
    """
    times = series.str.to_datetime(format, strict=False, exact=True, time_unit="us")
    return times.dt.timestamp("us").set(times.dt.year() < 1000, None)

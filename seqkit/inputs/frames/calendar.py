"""Columns made from the time: where each row stands in the day, the week, the month or the year."""

# R rows

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from seqkit.inputs.frames.times import DAY

Cycle = Literal["hour", "weekday", "day", "month", "yearday"]
"""Hour of the day, day of the week, day of the month, month of the year, day of the year."""

PERIODS: dict[str, float] = {"hour": 24, "weekday": 7, "day": 31, "month": 12, "yearday": 365.25}
STARTS = {
    "hour": "0 at midnight, with its fraction",
    "weekday": "0 on Monday",
    "day": "0 on the first",
    "month": "0 in January",
    "yearday": "0 on 1 January",
}


def names(cycles: Sequence[Cycle]) -> list[str]:
    """Return the names of the columns: sine and cosine of each place in its cycle, so that its end meets its start."""
    return [f"{cycle} {part}" for cycle in cycles for part in ("sine", "cosine")]


def meaning(names: Iterable[str]) -> str:
    """Say what columns of these names hold, for the description of an exported file."""
    used = dict.fromkeys(name.partition(" ")[0] for name in names)
    places = ", ".join(f"{cycle} of {PERIODS[cycle]:g} ({STARTS[cycle]})" for cycle in used)
    return f"'X sine' and 'X cosine' are those of 2 pi X / period, of the row's time as the file writes it: {places}"


def column(name: str, moment_R: np.ndarray) -> np.ndarray:
    """Return a column by its name, one of ``names``, for local times in microseconds since 1970."""
    cycle, _, part = name.partition(" ")
    angle_R = 2 * np.pi * _place(cycle, moment_R) / PERIODS[cycle]
    return np.sin(angle_R) if part == "sine" else np.cos(angle_R)


def _place(cycle: str, moment_R: np.ndarray) -> np.ndarray:
    """Return where times stand in a cycle, from 0."""
    at_R = moment_R.astype("datetime64[us]")
    day_R = at_R.astype("datetime64[D]")
    if cycle == "hour":
        return (moment_R % DAY) / (DAY / 24)
    if cycle == "weekday":
        return (day_R.astype(np.int64) + 3) % 7  # 1970 began on a Thursday
    if cycle == "day":
        return (day_R - at_R.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
    if cycle == "month":
        return at_R.astype("datetime64[M]").astype(np.int64) % 12
    return (day_R - at_R.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)

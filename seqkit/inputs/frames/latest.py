"""The end of a table: the last rows, to forecast from, and the times that follow them."""

# T time (rows), R all rows of a series, I numbers per frame

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
from torch import Tensor

from seqkit.errors import DataError
from seqkit.inputs.frames.times import DAY, SECOND, Times


@dataclass(frozen=True)
class Latest:
    """The last rows of one series, to forecast from.

    Attributes:
        inputs: The rows (T, I).
        whole: Returns all rows (R, I) of the series; raises ``DataError`` where earlier ones cannot be read.
        extras: Further tensors by name, as in ``Batch`` without its first axis, each with a row per row to come.
        about: Of the rows to come, as plain JSON: ``times``, one per row, where they are known, and the name of the
            ``series``, where there are several.
    """

    inputs: Tensor
    whole: Callable[[], Tensor]
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


def following(times: Times, count: int, where: str) -> Times:
    """Return the ``count`` times after the last of these, in even steps.

    Args:
        times: In even steps.
        count: Of times to return.
        where: The file, for a refusal.

    Raises:
        DataError: One row has no step.
    """
    if len(times.at_R) < 2:
        raise DataError(f"{where}: has one row, so the step between its times is not known. Expected two or more")
    at = int(times.at_R[-1]) + times.step * np.arange(1, count + 1)
    return replace(times, at_R=at, moment_R=None if times.moment_R is None else _moments(times, at))


def local(times: Times) -> np.ndarray:
    """Return dates or times in microseconds since 1970, as a clock in their zone shows them."""
    assert times.moment_R is not None
    return times.moment_R + _minutes(times.zone) * 60 * SECOND


def texts(times: Times, alike: Times) -> list[str]:
    """Return times as text: numbers as they are, others in ISO 8601, in their time zone.

    Args:
        times: To be written.
        alike: Others of the same column; if none of either has a time of day, dates alone are returned.
    """
    if times.unit == "number":
        return [str(number) for number in times.at_R.tolist()]
    assert times.moment_R is not None
    assert alike.moment_R is not None
    return in_iso(times.moment_R, alike.moment_R, times.zone)


def in_iso(moments: np.ndarray, alike: np.ndarray, zone: str | None) -> list[str]:
    """Return times in microseconds as ISO 8601 text.

    Args:
        moments: The times, as UTC.
        alike: Others, from the same column; if none of either has a time of day, dates alone are returned.
        zone: To write them in: ``+01:00``; None for UTC without saying so.
    """
    shift = _minutes(zone) * 60 * SECOND
    every = np.concatenate((alike, moments)) + shift
    if zone is None and not (every % DAY).any():
        return [str(moment) for moment in moments.astype("datetime64[us]").astype("datetime64[D]")]
    spec = "minutes" if not (every % (60 * SECOND)).any() else "seconds" if not (every % SECOND).any() else "auto"
    local = timezone(timedelta(minutes=_minutes(zone)))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    texts = []
    for moment in moments.tolist():
        at = (epoch + timedelta(microseconds=moment)).astimezone(local)
        texts.append((at if zone else at.replace(tzinfo=None)).isoformat(" ", spec))
    return texts


def _moments(times: Times, at: np.ndarray) -> np.ndarray:
    """Return times that are counted in the unit of ``times`` in microseconds."""
    if times.unit != "month":
        return at
    assert times.moment_R is not None

    def start(month: np.ndarray) -> np.ndarray:
        return (month - 1970 * 12).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)

    since_start, to_end = times.moment_R - start(times.at_R), start(times.at_R + 1) - times.moment_R
    in_every_month = since_start[0] < 28 * DAY or (to_end != to_end[0]).any()
    if (since_start == since_start[0]).all() and in_every_month:
        return start(at) + since_start[0]
    return start(at + 1) - to_end[0]  # the same moment before the month's end


def _minutes(zone: str | None) -> int:
    if not zone:
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (int(digits[:2]) * 60 + int(digits[2:4])) * (-1 if zone[0] == "-" else 1)

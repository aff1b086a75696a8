"""Properties of a metric, a head's own or a task's: sums that are exact however the samples are divided."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

from seqkit.joining import join, states
from seqkit.testing.answers import difference_reason
from seqkit.testing.check import DoesNotApply, ensure, explained
from seqkit.testing.predicting import PredictionSubject

Make = Callable[[], Any]
"""Makes a new metric."""


def scored(make: Make, subject: PredictionSubject, groups: Iterable[Sequence[int]]) -> dict[str, float]:
    """Return the scores of the samples, given to a new metric as batches of these rows."""
    return computed(updated(make, subject, groups))


def updated(make: Make, subject: PredictionSubject, groups: Iterable[Sequence[int]]) -> Any:
    """Return a new metric that was given the samples as batches of these rows."""
    from torchmetrics import Metric

    metric = make()
    ensure(
        isinstance(metric, Metric),
        f"metrics returned {type(metric).__name__}; return a torchmetrics.Metric, which can be moved to a device and "
        "joined over several",
    )
    metric = metric.to(next(subject.network.parameters()).device)
    for rows in groups:
        given = subject.given(rows)
        metric.update(subject.prediction(given), given.batch)
    return metric


def computed(metric: Any) -> dict[str, float]:
    """Return the scores of a metric as numbers, having looked that they are scores."""
    scores = metric.compute()
    name = f"{type(metric).__name__}.compute"
    ensure(
        isinstance(scores, Mapping) and scores,
        f"{name} returned {type(scores).__name__}; return a dict from the name of a score to its value",
    )
    for key, value in scores.items():
        ensure(
            isinstance(key, str) and torch.as_tensor(value).numel() == 1,
            f"{name} returned {key!r}: {type(value).__name__} of shape {tuple(torch.as_tensor(value).shape)}; "
            "each score must be one number under a string",
        )
    return {key: float(value) for key, value in scores.items()}


def require_exact_under_any_split(make: Make, subject: PredictionSubject) -> None:
    """Raise ``CheckError`` where the scores depend on how the samples are cut into batches."""
    rows = _several(subject)
    due = scored(make, subject, [rows])
    for first in {1, max(1, len(rows) - 2)}:
        reason = difference_reason(scored(make, subject, [rows[:first], rows[first:]]), due)
        ensure(
            not reason,
            f"in batches of {first} and {len(rows) - first} samples instead of one of {len(rows)}, {reason}: "
            "keep sums and counts in update, and divide in compute",
        )


def require_sums_over_ranks(make: Make, subject: PredictionSubject) -> None:
    """Raise ``CheckError`` where devices with a part of the samples each get other scores than one with all.

    One of them has no sample at all, as of a last batch that is smaller than the number of devices.
    """
    rows = _several(subject)
    due = scored(make, subject, [rows])
    first = min(2, len(rows) - 1)
    metric, other, idle = (updated(make, subject, groups) for groups in ([rows[:first]], [rows[first:]], []))
    with explained("added over devices"):
        join(metric, [states(metric), states(other), states(idle)])
    reason = difference_reason(computed(metric), due)
    ensure(
        not reason,
        f"added over two devices, {reason}: make each state by add_state(..., dist_reduce_fx='sum')",
    )


def _several(subject: PredictionSubject) -> range:
    """Return the rows of the samples, of which a division needs two."""
    if len(subject.samples) < 2:
        raise DoesNotApply("there is one sample only")
    return range(len(subject.samples))

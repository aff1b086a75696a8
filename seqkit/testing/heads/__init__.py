"""Checks of heads."""

from collections.abc import Mapping
from typing import Any

from seqkit.testing import options, tiny
from seqkit.testing.check import require
from seqkit.testing.heads import building, loss, prediction, scored, streamed
from seqkit.testing.line import Chosen
from seqkit.testing.predicting import PredictionSubject

__all__ = ["check_head", "suite"]

MODULES = building, loss, prediction, scored, streamed  # define checks
options.define_checks("head")


def check_head(name: str, data: str | Mapping[str, Any] | None = None, **given: Any) -> None:
    """Run every check of a head on one that is registered.

    Args:
        name: Under which it is registered.
        data: Data set to check it on, by name or with options; the first that it serves if left out.
        given: Its options.

    Raises:
        CheckError: A check failed; the message has a line for each.
    """
    chosen: dict[str, Any] = {"head": {"name": name, **given}}
    if data is not None:
        chosen["data"] = {"name": data} if isinstance(data, str) else data
    require(*suite(chosen))


def suite(chosen: Chosen) -> tuple[PredictionSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of a head; see ``seqkit.testing.line.suite``."""
    head, data = chosen["head"], chosen.get("data")
    subject = PredictionSubject(
        get_data=lambda: tiny.data_set(data) if data else tiny.served_by(head),
        get_network=lambda found: tiny.network(found, chosen),
        where=f"head={head['name']}",
        config=head,
    )
    return subject, ("head",)

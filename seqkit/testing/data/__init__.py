"""Checks of data sets."""

from typing import Any

from seqkit import registry
from seqkit.testing import options, tiny
from seqkit.testing.check import require
from seqkit.testing.data import batches, changes, order, parts, spec
from seqkit.testing.data.subject import DataSubject
from seqkit.testing.line import Chosen

__all__ = ["DataSubject", "check_data", "suite"]

MODULES = batches, changes, order, parts, spec  # define checks
options.define_checks("data")


def check_data(name: str, **given: Any) -> None:
    """Run every check of a data set on one that is registered.

    Args:
        name: Under which it is registered.
        given: Its options; tiny ones where none are given, if it is one of seqkit's that are always there.

    Raises:
        CheckError: A check failed; the message has a line for each.
    """
    require(*suite({"data": {"name": name, **given}}))


def suite(chosen: Chosen) -> tuple[DataSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of a data set; see ``seqkit.testing.line.suite``."""
    config = tiny.sized(chosen["data"])
    return DataSubject(lambda: tiny.data_set(config), lambda: registry.build("data", config), config), ("data",)

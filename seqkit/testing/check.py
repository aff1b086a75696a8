"""A check: one property that a component must have, and the message of a component that lacks it."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from seqkit.errors import SeqkitError, one_line
from seqkit.faults import said

SubjectT = TypeVar("SubjectT")


class CheckError(AssertionError):
    """A property that a component lacks: what was seen, and what would be right."""


class DoesNotApply(Exception):  # noqa: N818 - no error
    """A check that has nothing to look at in this component; says why."""


@dataclass(frozen=True)
class Check:
    """One property of a kind of component.

    Attributes:
        kind: Kind of component, as in the config, or "cell".
        name: Of the function that looks for it, words joined by _.
        cheap: Whether the dry run before a training makes it: it is quick, and a component that fails it would train or
            score wrongly.
        streams: Whether the dry run makes it on data that are streams only.
        basic: Whether the others stand on it: they are not tried where it fails, as they would say the same again.
        run: Takes the subject of its kind; raises ``CheckError`` or ``DoesNotApply``.
    """

    kind: str
    name: str
    cheap: bool
    streams: bool
    basic: bool
    run: Callable[[Any], None]

    @property
    def sentence(self) -> str:
        """The property in words: its name."""
        return self.name.replace("_", " ")

    @property
    def doc(self) -> str:
        """What the property is for, in a sentence."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]

    def outcome(self, subject: Any) -> "Outcome":
        """Run the check; any error but its own is a failure too."""
        try:
            with seeded():
                self.run(subject)
        except DoesNotApply as error:
            return Outcome(self, True, False, one_line(error))
        except (CheckError, SeqkitError) as error:
            return Outcome(self, False, True, one_line(error), error.__cause__)
        except (Exception, SystemExit) as error:
            return Outcome(self, False, True, said(error), error)
        return Outcome(self, True, True, "")


@dataclass(frozen=True)
class Outcome:
    """Outcome of one check on one component.

    Attributes:
        check: The check that was run.
        passed: Whether the component has the property.
        applies: Whether the check had something to look at.
        reason: Why it failed or does not apply.
        error: Raised by the component in the middle of the check, where that is why it failed.
    """

    check: Check
    passed: bool
    applies: bool
    reason: str
    error: BaseException | None = None


CHECKS: dict[str, list[Check]] = {}
"""All checks by kind, in the order of their definition."""


def check(
    *kinds: str, cheap: bool = False, streams: bool = False, basic: bool = False
) -> Callable[[Callable[[SubjectT], None]], Callable[[SubjectT], None]]:
    """Make a function a check of one kind of component, or of several whose subjects are alike; see ``Check``."""

    def decorate(run: Callable[[SubjectT], None]) -> Callable[[SubjectT], None]:
        for kind in kinds:
            CHECKS.setdefault(kind, []).append(Check(kind, run.__name__, cheap, streams, basic, run))
        return run

    return decorate


def outcomes(subject: Any, kinds: tuple[str, ...]) -> Iterator[Outcome]:
    """Run the checks of some kinds on a subject, the basic ones first; where one of these fails, no other is tried."""
    failed = ""
    for item in _basic_first([item for kind in kinds for item in CHECKS[kind]]):
        if failed and not item.basic:
            yield Outcome(item, True, False, f"not tried until '{failed}' passes")
            continue
        outcome = item.outcome(subject)
        yield outcome
        if item.basic and not outcome.passed:
            failed = failed or item.sentence


def cheap_outcomes(subject: Any, kind: str, streams: bool) -> Iterator[Outcome]:
    """Run the cheap checks of a kind on a subject, one after another.

    Args:
        subject: What the checks of this kind take.
        kind: Of component.
        streams: Whether the data are streams.
    """
    for item in _basic_first(CHECKS[kind]):
        if item.cheap and (streams or not item.streams):
            yield item.outcome(subject)


def _basic_first(checks: list[Check]) -> list[Check]:
    return sorted(checks, key=lambda item: not item.basic)


def require(subject: Any, kinds: tuple[str, ...]) -> None:
    """Run all checks of some kinds on a subject; raises ``CheckError`` with a line for each that failed."""
    failed = [outcome for outcome in outcomes(subject, kinds) if not outcome.passed]
    if failed:
        raise CheckError("\n".join(f"{outcome.check.name}: {outcome.reason}" for outcome in failed))


def ensure(condition: Any, message: str) -> None:
    """Raise ``CheckError`` with a message unless the condition holds."""
    if not condition:
        raise CheckError(message)


@contextmanager
def explained(remedy: str) -> Iterator[None]:
    """Turn an error of a component into a ``CheckError`` that adds what to do about it."""
    try:
        yield
    except (CheckError, DoesNotApply):
        raise
    except Exception as error:
        raise CheckError(f"{said(error)}; {remedy}") from error


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Seed the generators of python, numpy and torch, and put back afterwards what they were."""
    import numpy as np
    import torch

    from seqkit.rng import get_rng, set_rng

    before = get_rng()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        set_rng(before)

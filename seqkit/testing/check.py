"""A check: one property that a component must have, and the message of a component that lacks it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from seqkit.errors import one_line


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
        cheap: Whether it is quick enough to run before every training.
        run: Takes the subject of its kind; raises ``CheckError`` or ``DoesNotApply``.
    """

    kind: str
    name: str
    cheap: bool
    run: Callable[[Any], None]

    @property
    def doc(self) -> str:
        """What the property is for, in a sentence."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True)
class Outcome:
    """Of one check on one component: ``reason`` says why it failed or does not apply."""

    check: Check
    passed: bool
    applies: bool
    reason: str


CHECKS: dict[str, list[Check]] = {}
"""All checks by kind, in the order of their definition."""


def check(kind: str, cheap: bool = False) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Make a function a check of a kind of component."""

    def decorate(run: Callable[[Any], None]) -> Callable[[Any], None]:
        CHECKS.setdefault(kind, []).append(Check(kind, run.__name__, cheap, run))
        return run

    return decorate


def outcomes(subject: Any, kinds: tuple[str, ...], cheap: bool = False) -> Iterator[Outcome]:
    """Run the checks of some kinds on a subject, one after another; any other error is a failure too.

    Args:
        subject: What the checks of these kinds take.
        kinds: In this order.
        cheap: Whether to run the cheap ones only.
    """
    for one in (one for kind in kinds for one in CHECKS[kind] if one.cheap or not cheap):
        try:
            one.run(subject)
        except DoesNotApply as error:
            yield Outcome(one, True, False, one_line(error))
        except CheckError as error:
            yield Outcome(one, False, True, one_line(error))
        except Exception as error:
            yield Outcome(one, False, True, f"{type(error).__name__}: {one_line(error)}")
        else:
            yield Outcome(one, True, True, "")


def require(subject: Any, kinds: tuple[str, ...]) -> None:
    """Run all checks of some kinds on a subject; raises ``CheckError`` with a line for each that failed."""
    failed = [outcome for outcome in outcomes(subject, kinds) if not outcome.passed]
    if failed:
        raise CheckError("\n".join(f"{outcome.check.name}: {outcome.reason}" for outcome in failed))

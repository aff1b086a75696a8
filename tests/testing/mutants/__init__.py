"""Broken components, each wrong in one realistic way, and the check that is meant to find it.

One module a kind (cells.py, models.py, heads.py, ...); importing it registers its mutants.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """A broken component.

    Attributes:
        kind: Of the component, as in the config; "cell" is a model.
        name: Under which it is registered.
        caught_by: Name of the check that is meant to find it.
        says: Words that stand in the message.
        dry_run: Whether the dry run before a training finds it too.
        overrides: Of a plain `train` with it, beside KIND=NAME and a tiny data set: the data that it needs.
    """

    kind: str
    name: str
    caught_by: str
    says: str
    dry_run: bool
    overrides: tuple[str, ...] = field(default=())


MUTANTS: list[Mutant] = []


def mutant(
    kind: str, name: str, caught_by: str, says: str, dry_run: bool, overrides: tuple[str, ...] = ()
) -> Callable[[Any], Any]:
    """Note a mutant; the component itself is registered by its own decorator."""

    def decorate(component: Any) -> Any:
        MUTANTS.append(Mutant(kind, name, caught_by, says, dry_run, overrides))
        return component

    return decorate

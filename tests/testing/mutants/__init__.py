"""Broken components, each wrong in one realistic way, and the check that is meant to find it.

One module per kind (cells.py, models.py, heads.py, ...); importing it registers its mutants. ``registered`` does so for
a while only, since other tests go through all that is registered. ``python -m tests.testing.mutants`` prints them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from seqkit import origin, registry
from seqkit.data.sea_temperature import SAMPLE


@dataclass(frozen=True)
class Mutant:
    """A broken component.

    Attributes:
        kind: Of the component, as in the config; a cell is a "model".
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

    @property
    def line(self) -> list[str]:
        """The mutant and what it needs, as words of a line of components."""
        return [f"{self.kind}={self.name}", *self.overrides]


TEXT = SAMPLE.with_name("sea_temperature.LICENSE.txt")
STREAMS = (
    f"data.path={TEXT}",
    "data.seq_len=6",
    "data.batch_size=4",
    "data.eval_streams=3",
    "data.split=[0.8,0.1,0.1]",
)
"""Options of ``text_files`` for a few short streams."""

MUTANTS: list[Mutant] = []
_with_mutants: dict[str, Any] = {}


def mutant(
    kind: str, name: str, caught_by: str, says: str, dry_run: bool, overrides: tuple[str, ...] = ()
) -> Callable[[Any], Any]:
    """Note a mutant; the component itself is registered by its own decorator."""

    def decorate(component: Any) -> Any:
        MUTANTS.append(Mutant(kind, name, caught_by, says, dry_run, overrides))
        return component

    return decorate


@contextmanager
def registered() -> Iterator[list[Mutant]]:
    """Register all mutants, and forget them afterwards."""
    registry.load_built_in()
    before = registry._components
    if not _with_mutants:
        _with_mutants.update({kind: dict(found) for kind, found in before.items()})
    registry._components = _with_mutants
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(origin, "digest", cache(origin.digest))  # each mutant's is that of all of tests/
            for module in sorted(Path(__file__).parent.glob("[a-z]*.py")):
                import_module(f"{__name__}.{module.stem}")
        yield MUTANTS
    finally:
        registry._components = before

"""The search for a name that is not registered: what the user names first, then what is installed."""

from collections.abc import Callable

from seqkit import registry
from seqkit.plugins.installed import entry_points, load_entry_point
from seqkit.plugins.loading import loaded
from seqkit.plugins.named import load_named
from seqkit.plugins.record import Plugin


def find(kind: str, name: str | None) -> None:
    """Load plugins until one has registered ``kind=name``; all of them for the name None."""
    search(name, lambda: name is not None and name in registry.components(kind))


def search(name: str | None, is_there: Callable[[], bool]) -> None:
    """Load plugins until ``is_there``: those that the user names, the entry point of this name, then the others."""
    load_named()
    points = sorted(entry_points(), key=lambda pair: pair[1].name != name)
    for distribution, point in points:
        if is_there():
            return
        load_entry_point(distribution, point)


def load_all() -> bool:
    """Load every plugin there is, and return whether one of them was not loaded before."""
    before = len(loaded)
    search(None, lambda: False)
    return len(loaded) > before


def found() -> list[Plugin]:
    """Load every plugin there is, and return all of them with their faults."""
    load_all()
    return list(loaded.values())

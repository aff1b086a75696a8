"""Plugins of installed distributions, by their entry points in the group ``seqkit.plugins``."""

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import seqkit
from seqkit.distributions import GROUP, distributions, may_hold
from seqkit.errors import PluginError
from seqkit.plugins.loading import load, loaded, warn
from seqkit.plugins.record import Plugin


def entry_points() -> Iterator[tuple[Distribution, EntryPoint]]:
    """Yield the entry points of plugins with their distributions, each once."""
    seen: set[str] = set()
    for distribution in distributions():
        points = distribution.entry_points.select(group=GROUP)
        if not points or not distribution.name:  # an uninstallation that was broken off leaves one without a name
            continue
        if canonicalize_name(distribution.name) not in seen:
            seen.add(canonicalize_name(distribution.name))
            yield from ((distribution, point) for point in points)


def load_entry_point(distribution: Distribution, point: EntryPoint) -> None:
    """Load the module that an entry point names; a fault is one warning."""

    def import_it() -> ModuleType:
        _check_requirement(distribution)
        if point.pattern.match(point.value) is None:
            raise PluginError(f"entry point {point.name} = {point.value} names no module")
        _check_place(distribution, point.module.partition(".")[0])
        return import_module(point.module)

    known = loaded.get(f"{distribution.name}:{point.name}")
    plugin = load(Plugin(point.name, distribution.name, distribution.version), import_it)
    if plugin.fault and not known:
        warn(plugin)


def of_distribution(name: str) -> list[tuple[Distribution, EntryPoint]]:
    """Return the entry points of one distribution."""
    wanted = canonicalize_name(name)
    return [pair for pair in entry_points() if canonicalize_name(pair[0].name) == wanted]


def _check_place(distribution: Distribution, package: str) -> None:
    """Refuse a module of that name in another place on the path, such as the current folder: nobody trusts that."""
    spec = find_spec(package)
    if spec and spec.origin and not may_hold(distribution, Path(spec.origin).resolve()):
        raise PluginError(f"{spec.origin} stands before its module '{package}' on the path; rename that file")


def _check_requirement(distribution: Distribution) -> None:
    """Refuse a distribution that was made for another version of seqkit; pip was told not to look, then."""
    for text in distribution.requires or ():
        needed = Requirement(text)
        if canonicalize_name(needed.name) != "seqkit" or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        if not needed.specifier.contains(seqkit.__version__, prereleases=True):
            raise PluginError(f"it needs seqkit{needed.specifier}, and this is seqkit {seqkit.__version__}")

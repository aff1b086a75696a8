"""Provenance of a run's components: which distribution or file gave each, and whether it still does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import seqkit
from seqkit import registry
from seqkit.config import CHOICES, Config, check
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, shortened
from seqkit.plugins import memory, trust
from seqkit.specs import parts_of

Provenance = dict[str, dict[str, str]]
"""Component, as "model=mgu" -> its distribution and version, its file and sha256, or its module."""


def components(config: Config, spec: DataSpec | None = None) -> Provenance:
    """Return the provenance of each component of a checked config, and of those that the data's spec chooses."""
    chosen = [(kind, config[kind]["name"]) for kind in CHOICES if config[kind]]
    if spec:
        by_spec = {"frontend": spec.inputs.frontend, "head": spec.task.head}
        chosen += [(kind, name) for kind, name in by_spec.items() if not config[kind]]
        chosen += parts_of(spec)
    return {f"{kind}={name}": registry.find(kind, name).origin.to_json() for kind, name in chosen}


def remember(used: Provenance) -> None:
    """Note the files among the components as used by this user, whose saved runs may load them from now on."""
    for origin in used.values():
        if "file" in origin and "distribution" not in origin:
            memory.remember(Path(origin["file"]), origin["sha256"])


def provide(saved: Any) -> str:
    """Load the plugins that a saved run names, as far as this user trusts them.

    Args:
        saved: Provenance as it was saved, by anyone.

    Returns:
        Why the first one that is missing could not be loaded, in one line; an empty string if none is.
    """
    reasons = []
    for kind, name, origin in _entries(saved):
        if name not in registry.components(kind):
            reason = trust.load(origin)
            if name not in registry.components(kind):
                reasons.append(f"this run's {kind} '{name}' {reason}")
    return reasons[0] if reasons else ""


def checked(config: Config, saved: Any, where: str) -> Config:
    """Check the config of a saved run, and say where a component that is not registered came from.

    Args:
        config: As it was saved.
        saved: Provenance as it was saved.
        where: The file that holds both, for the refusal.

    Raises:
        ConfigError: The config cannot be used here.
    """
    missing = provide(saved)
    try:
        return check(config)
    except ConfigError as error:
        raise ConfigError(missing or f"{where}: {error}") from None


def change_reason(saved: Any) -> str:
    """Return which plugins' code differs from that which the run was made with, in one line, or an empty string."""
    found: dict[str, list[str]] = {}
    for kind, name, then in _entries(saved):
        component = registry.components(kind).get(name)
        now = component.origin.to_json() if component else then
        if now.get("sha256", now) != then.get("sha256", then) and not (_is_own(then) and _is_own(now)):
            found.setdefault(_difference(then, now), []).append(f"{kind}={name}")
    parts = [f"{', '.join(keys)} {difference}" for difference, keys in found.items()]
    return f"this run was made with other code: {'; '.join(parts)}" if parts else ""


def version_reason(saved: Any) -> str:
    """Return which other version of seqkit gave the run's components, in one line, or an empty string."""
    versions = sorted({shortened(origin.get("version")) for _, _, origin in _entries(saved) if _is_own(origin)})
    others = [version for version in versions if version != seqkit.__version__]
    return f"this run was made with seqkit {', '.join(others)}, here {seqkit.__version__}" if others else ""


def _entries(saved: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield kind, name and origin of what is well formed in a saved provenance."""
    for key, origin in saved.items() if isinstance(saved, dict) else ():
        kind, _, name = str(key).partition("=")
        if kind in (*registry.KINDS, *registry.SPEC_KINDS) and name.isidentifier() and isinstance(origin, dict):
            yield kind, name, origin


def _is_own(origin: dict[str, Any]) -> bool:
    return origin.get("distribution") == "seqkit"


def _difference(then: dict[str, Any], now: dict[str, Any]) -> str:
    source, here = _in_words(then), _in_words(now)
    return f"of {source}, here of {here}" if here != source else f"of {source}, which has changed since"


def _in_words(origin: dict[str, Any]) -> str:
    if "distribution" in origin:
        return f"{shortened(origin['distribution'])} {shortened(origin.get('version', ''))}".strip()
    return shortened(origin.get("file") or origin.get("module"), 200)

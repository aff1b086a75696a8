"""Provenance of a run's components: which distribution or file gave each, and whether it still does."""

from pathlib import Path
from typing import Any

from seqkit import registry
from seqkit.config import CHOICES, Config, check
from seqkit.errors import ConfigError

Provenance = dict[str, dict[str, str]]
"""Kind of component -> its name, and its distribution and version or its file and sha256."""


def components(config: Config) -> Provenance:
    """Return the provenance of each chosen component of a checked config."""
    chosen = {kind: config[kind]["name"] for kind in CHOICES if config[kind]}
    return {kind: {"name": name, **registry.find(kind, name).provenance()} for kind, name in chosen.items()}


def checked(config: Config, saved: Any, where: str) -> Config:
    """Check the config of a saved run, and say where a component that is not registered came from.

    Args:
        config: As it was saved.
        saved: Provenance as it was saved.
        where: The file that holds both, for the refusal.

    Raises:
        ConfigError: The config cannot be used here.
    """
    try:
        return check(config)
    except ConfigError as error:
        origin = _missing_reason(config, saved if isinstance(saved, dict) else {})
        raise ConfigError(origin or f"{where}: {error}") from None


def change_reason(config: Config, saved: Provenance) -> str:
    """Return which components differ from those that the run was made with, in one line, or an empty string."""
    found: dict[str, list[str]] = {}
    for kind, now in components(config).items():
        then = saved.get(kind, {})
        if "file" in then:
            if "file" not in now or now["sha256"] != then["sha256"]:
                gone = "" if Path(then["file"]).exists() else " and is no longer there"
                place = f" (now {now['file']})" if now.get("file", then["file"]) != then["file"] else ""
                found.setdefault(f"{then['file']}{gone or ' has changed'}{place}", []).append(kind)
        elif then and then != now:
            source = f"{now.get('distribution', now.get('file'))} {now.get('version', '')}".strip()
            then_from = f"{then.get('distribution', '?')} {then.get('version', '')}".strip()
            found.setdefault(f"{then_from}, here {source}", []).append(kind)
    parts = [f"{', '.join(kinds)} from {source}" for source, kinds in found.items()]
    return f"components differ from those of the run: {'; '.join(parts)}" if parts else ""


def _missing_reason(config: Config, saved: dict[str, Any]) -> str:
    for kind in CHOICES:
        chosen, then = config.get(kind), saved.get(kind)
        if not isinstance(chosen, dict) or not isinstance(then, dict) or chosen.get("name") in registry.names(kind):
            continue
        origin = f"this run's {kind} '{chosen.get('name')}' came from"
        if "file" in then:
            script = Path(str(then["file"]))
            gone = "" if script.exists() else ", which is no longer there"
            return f"{origin} {script}{gone}; run that script instead of seqkit, python {script.name} COMMAND ..."
        if "distribution" in then:
            return f"{origin} {then['distribution']} {then.get('version', '')}, which does not register it here"
    return ""

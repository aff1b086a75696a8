"""The override that a person meant by a name that is none: ``lr=0.1``, ``--data table.csv``, ``data=table.csv``."""

import os
from collections.abc import Sequence
from pathlib import Path

from seqkit import registry, schema
from seqkit.config import CHOICES, Settings
from seqkit.hydra_cli.nodes import own_hydra, register_preset_folders, store_nodes
from seqkit.report.options import arguments

GROUPS = (*CHOICES, "experiment")
FILE = "path"
"""Option of the components that read a file."""


def meant(key: str, value: str, overrides: Sequence[str]) -> str | None:
    """Return the override that was meant by ``key=value``, or None where no option is like it.

    Args:
        key: A group, a setting, the name of an option, ``lr``, part of one, ``epochs``, or words of its description,
            ``learning_rate``.
        value: As typed; the path of a file belongs to the group's option that takes one.
        overrides: All that was typed; the components that they choose are searched for the option.
    """
    key = key.lstrip("-").replace("-", "_").lower()
    settings = [option.name for option in schema.options(Settings)]
    takes_file = bool(readers(key)) and is_file(value) and value not in registry.components(key)
    if key in settings or (key in GROUPS and not takes_file):
        return f"{key}={value}"
    options = _options(overrides)
    if key in GROUPS:
        return f"{'' if f'{key}.{FILE}' in options else f'{key}=NAME '}{key}.{FILE}={value}"
    names = {whole: whole.partition(".")[2] for whole in options}
    equal = [whole for whole, name in names.items() if key in (name, whole.replace(".", "_"))]
    part = sorted((whole for whole, name in names.items() if key in name), key=len)
    described = [whole for whole, text in options.items() if text.lower().startswith(key.replace("_", " "))]
    found = equal or (part[:1] or described[:1] if len(key) > 2 else [])
    return " or ".join(f"{whole}={value}" for whole in found) or None


def is_file(value: str) -> bool:
    """Whether a value is the path of a file rather than the name of a component."""
    return os.path.exists(value) or bool(Path(value).suffix) or "/" in value


def readers(group: str) -> list[str]:
    """Return the components of a group that read a file."""
    found = registry.components(group).items() if group in CHOICES else ()
    return [
        name for name, component in found if any(option.name == FILE for option in schema.options(component.factory))
    ]


def _options(overrides: Sequence[str]) -> dict[str, str]:
    """Return the description of each option of the chosen components, by its whole name, ``model.hidden_size``."""
    groups = [word for word in overrides if word.partition("=")[0] in GROUPS and not is_file(word)]
    found: dict[str, str] = {}
    for kind, component in _chosen(groups).items():
        said = arguments(component.doc)
        found |= {f"{kind}.{option.name}": said.get(option.name, "") for option in schema.options(component.factory)}
    return found


def _chosen(groups: list[str]) -> dict[str, registry.Component]:
    """Return the components that overrides choose, by kind; the default ones where the overrides cannot be composed."""
    from hydra import compose

    register_preset_folders()
    store_nodes()
    for words in (groups, []):
        try:
            with own_hydra():
                config = compose("train", overrides=words)
            names = {kind: config[kind].name for kind in CHOICES if config.get(kind)}
            return {kind: registry.find(kind, name) for kind, name in names.items()}
        except Exception:
            continue
    return {}

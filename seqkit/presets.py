"""Presets: YAML files that choose components and set options of them, such as ``experiment=adding``."""

from collections.abc import Callable, Collection
from importlib.resources import files
from typing import Any

from seqkit import plugins, registry, schema
from seqkit.errors import ConfigError, unknown


def text(group: str, name: str) -> str:
    """Return the text of a preset of seqkit or of a plugin.

    Raises:
        ConfigError: There is none.
    """
    own = files("seqkit.conf").joinpath(group, f"{name}.yaml")
    if not own.is_file():
        plugins.found()  # loads them
    for file, _ in _files(group):
        if file.name == f"{name}.yaml":
            return file.read_text().rstrip()
    raise unknown(group, name, (file.name.removesuffix(".yaml") for file, _ in _files(group)))


def summaries(group: str) -> dict[str, tuple[str, str]]:
    """Return the first comment line and the provider of each preset of a config group; plugins as loaded so far."""
    found = {}
    for file, provider in _files(group):
        comments = [line[1:].strip() for line in file.read_text().splitlines() if line.startswith("#")]
        summary = next((line for line in comments if not line.startswith("@")), "")
        found[file.name.removesuffix(".yaml")] = summary, provider
    return dict(sorted(found.items()))


def _files(group: str) -> list[tuple[Any, str]]:
    """Return the file and the provider of each preset of a config group."""
    folders: dict[str, Any] = {"seqkit": files("seqkit.conf"), **plugins.preset_folders()}
    found = []
    for provider, folder in folders.items():
        place = folder.joinpath(group)
        if place.is_dir():
            found += [(file, provider) for file in place.iterdir() if file.name.endswith(".yaml")]
    return found


def leave_out(
    config: dict[str, Any], typed: Collection[str], preset: str, own_name: Callable[[str], str | None]
) -> list[str]:
    """Remove the options of a preset that a component chosen instead of the preset's own does not have.

    Args:
        config: As composed, changed in place; a preset may have set unknown options in it.
        typed: Keys that the user gave, such as "model" and "model.hidden_size".
        preset: The choice of the preset, ``experiment=adding``.
        own_name: From a kind to the component chosen where the user does not choose; called only where needed.

    Returns:
        One line per kind of component that lacks something.

    Raises:
        ConfigError: The user gave an unknown option, or the preset has one for its own component.
    """
    lines = []
    for kind in registry.KINDS:
        chosen = config.get(kind)
        if not isinstance(chosen, dict) or not chosen.get("name"):
            continue
        where = f"{kind}={chosen['name']}"
        unknown = _unknown(kind, chosen["name"], chosen)
        for option in unknown:
            if f"{kind}.{option}" in typed:
                factory = registry.find(kind, chosen["name"]).factory
                raise schema.unknown_option(factory, option, where, _elsewhere(config, option))
        own = (own_name(kind) if unknown else None) or chosen["name"]
        for option in _unknown(kind, own, unknown):
            refusal = schema.unknown_option(registry.find(kind, own).factory, option, f"{kind}={own}")
            raise ConfigError(f"{preset} sets {kind}.{option}: {refusal}")
        if unknown:
            values = ", ".join(f"{kind}.{option}={chosen.pop(option)}" for option in unknown)
            lines.append(f"{preset}: {values} left out, as {where} has no such option{'s' if len(unknown) > 1 else ''}")
    return lines


def _elsewhere(config: dict[str, Any], option: str) -> str:
    """Return the whole name of an option that one of the chosen components has, or an empty string."""
    chosen = {kind: config[kind]["name"] for kind in registry.KINDS if isinstance(config.get(kind), dict)}
    return next((f"{kind}.{option}" for kind, name in chosen.items() if not _unknown(kind, name, [option])), "")


def _unknown(kind: str, name: str, given: Collection[str]) -> list[str]:
    """Return the given keys that are no options of a component."""
    known = {option.name for option in schema.options(registry.find(kind, name).factory)}
    return [key for key in given if key not in known and key != "name"]

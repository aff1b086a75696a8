"""Presets of plugins: the folder ``conf/`` of each, on Hydra's search path under its own name."""

import logging
from importlib.resources import files
from pathlib import Path

from seqkit import registry
from seqkit.plugins.loading import loaded
from seqkit.plugins.record import presets_in

LOG = logging.getLogger("seqkit")
_said: set[str] = set()


def preset_folders() -> dict[str, Path]:
    """Return the folder of presets of each loaded plugin that has one, by provider.

    One that holds a preset which is there already, in seqkit, another plugin or as a component, is left out with a
    warning: it would silently take the other's place.
    """
    taken: dict[str, str | registry.Component] = dict.fromkeys(presets_in(files("seqkit.conf")), "seqkit")
    for kind in registry.KINDS:
        taken |= {f"{kind}/{name}": component for name, component in registry.components(kind).items()}
    found: dict[str, Path] = {}
    for plugin in loaded.values():
        folder = plugin.preset_folder
        if folder is None or folder in found.values():
            continue
        own = presets_in(folder)
        clash = next((name for name in own if name in taken), None)
        if clash is None:
            found[plugin.provider] = folder
            taken |= dict.fromkeys(own, plugin.provider)
        elif str(folder) not in _said:
            _said.add(str(folder))
            shown, owner = clash.replace("/", "="), taken[clash]
            by = owner if isinstance(owner, str) else owner.provider
            LOG.warning("the presets of %s are left out: %s is one of %s", plugin.provider, shown, by)
    return found

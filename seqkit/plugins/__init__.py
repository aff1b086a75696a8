"""Plugins: how they are found, loaded, and trusted."""

from seqkit import registry
from seqkit.plugins.memory import used_before
from seqkit.plugins.named import use
from seqkit.plugins.presets import preset_folders
from seqkit.plugins.record import Plugin
from seqkit.plugins.search import find, found, load_all, search

__all__ = ["Plugin", "found", "load_all", "preset_folders", "search", "use"]

registry.finders.append(find)
registry.hints.append(used_before)

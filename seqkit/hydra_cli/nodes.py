"""The components and presets of seqkit and of plugins, where Hydra looks for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import make_dataclass
from functools import cache
from typing import Any

from seqkit import plugins, registry, schema
from seqkit.config import CHOICES, Settings

_stored: dict[tuple[str, str], registry.Component] = {}


@contextmanager
def own_hydra() -> Iterator[None]:
    """Start Hydra on seqkit's configs, with that of a program that calls seqkit put aside."""
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    theirs = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("seqkit.conf", version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = theirs


@cache
def register_preset_folders() -> None:
    """Let Hydra search the presets of the plugins that are loaded when it composes."""
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class PresetFolders(SearchPathPlugin):
        def manipulate_search_path(self, search_path: Any) -> None:
            for provider, folder in plugins.preset_folders().items():
                search_path.append(provider, f"file://{folder}")

    Plugins.instance().register(PresetFolders)


def store_nodes() -> None:
    """Put a typed node for every registered component into Hydra's ConfigStore, if it is not there yet."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    store = ConfigStore.instance()
    groups = [(kind, Any, None) for kind in CHOICES]
    store.store(name="settings", node=make_dataclass("settings", groups, bases=(schema.node("own", Settings),)))
    for kind in CHOICES:
        for name, component in registry.components(kind).items():
            if _stored.get((kind, name)) is component and f"{name}.yaml" in store.repo.get(kind, {}):
                continue
            # Open to unknown options, which presets may have for another component; `plain` leaves out or refuses.
            node = OmegaConf.structured(schema.node(name, component.factory, {"name": name}), flags={"struct": False})
            store.store(group=kind, name=name, node=node)
            _stored[kind, name] = component

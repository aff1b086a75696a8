"""Each test of finding plugins begins in a process that has loaded none, and leaves none behind."""

import sys

import pytest
from hydra.core.config_store import ConfigStore

from seqkit import registry
from seqkit.plugins import presets
from seqkit.plugins.loading import loaded


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Return a function that forgets every plugin, as a new process would not know them."""
    registry.load_built_in()
    built_in = {kind: dict(group) for kind, group in registry._components.items()}
    nodes = {kind: dict(ConfigStore.instance().repo.get(kind, {})) for kind in registry.KINDS}
    path, modules, before = list(sys.path), set(sys.modules), dict(loaded)

    def forget():
        for kind, group in registry._components.items():
            group.clear()
            group.update(built_in[kind])
        for kind, group in nodes.items():
            ConfigStore.instance().repo[kind] = dict(group)
        loaded.clear()
        presets._said.clear()
        sys.path[:] = [entry for entry in sys.path if entry in path or entry == str(tmp_path / "site")]
        for name in set(sys.modules) - modules:
            if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
        monkeypatch.setenv("SEQKIT_PLUGINS", "")

    forget()
    yield forget
    forget()
    loaded.update(before)


@pytest.fixture
def site(fresh, monkeypatch, tmp_path):
    """Return an empty folder of installed packages that is on the path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder

"""Plugins that are registered for one test only."""

import sys
from importlib import import_module

import pytest

from seqkit import registry


@pytest.fixture
def load(monkeypatch):
    """Return what imports a module anew; all that is registered thereby is forgotten after the test."""
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})

    def load(name):
        sys.modules.pop(name, None)
        return import_module(name)

    return load

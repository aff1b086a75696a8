import sys
from importlib import metadata
from types import ModuleType

import pytest
import torch

from seqkit.errors import ConfigError
from seqkit.hydra_cli import compose
from seqkit.registry import Component
from seqkit.runs import provenance
from tests.conftest import TINY


def test_a_component_of_an_installed_distribution():
    found = Component("model", "x", torch.nn.GRU, torch.nn.GRU.__module__, "GRU", "").provenance()
    assert found == {"distribution": "torch", "version": metadata.version("torch")}


def test_a_component_of_a_file_and_of_no_file(tmp_path, monkeypatch):
    def factory():
        pass

    path = tmp_path / "own.py"
    path.write_text("x = 1\n")
    module = ModuleType("own")
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, "own", module)
    factory.__module__ = "own"
    found = Component("model", "x", factory, factory.__module__, "factory", "").provenance()
    assert found["file"] == str(path)
    assert len(found["sha256"]) == 64
    factory.__module__ = "typed_in"
    assert Component("model", "x", factory, factory.__module__, "factory", "").provenance() == {"module": "typed_in"}


def test_every_chosen_component_is_there_and_nothing_has_changed():
    config = compose(TINY)
    saved = provenance.components(config)
    assert saved.keys() == {"data", "model", "optimizer", "scheduler", "trainer"}
    assert provenance.change_reason(config, saved) == ""


@pytest.mark.parametrize(("then", "line"), [
    ({"distribution": "seqkit", "version": "0.0.1"}, "model from seqkit 0.0.1, here seqkit 0.1.0"),
    ({"distribution": "cells", "version": "2"}, "model from cells 2, here seqkit 0.1.0"),
    ({"file": "/gone/lstm.py", "sha256": "0"}, "model from /gone/lstm.py and is no longer there"),
])  # fmt: skip
def test_a_change_is_one_line(then, line):
    config = compose(TINY)
    saved = {**provenance.components(config), "model": {"name": "lstm", **then}}
    assert provenance.change_reason(config, saved) == f"components differ from those of the run: {line}"


def test_a_missing_distribution_is_named():
    config = compose(TINY)
    config["model"] = {"name": "mgu"}
    with pytest.raises(ConfigError) as refusal:
        provenance.checked(config, {"model": {"distribution": "cells", "version": "2"}}, "x.ckpt")
    assert str(refusal.value) == "this run's model 'mgu' came from cells 2, which does not register it here"
    with pytest.raises(ConfigError, match="x.ckpt: no model 'mgu'"):
        provenance.checked(config, None, "x.ckpt")

"""What there is to choose from."""

import json

import pytest

import seqkit
from seqkit import registry
from seqkit.__main__ import run


@pytest.fixture
def _one_cell(monkeypatch):
    """Register a cell of this file for one test only."""
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})

    @seqkit.register_model("listed")
    class Listed:
        """A model of this file."""

        def __init__(self, input_size: int) -> None: ...


def test_everything_has_a_provider_and_a_line(capsys):
    assert run(["list", "--json"]) == 0
    everything = json.loads(capsys.readouterr().out)
    assert list(everything) == ["experiment", *registry.KINDS, *registry.SPEC_KINDS]
    assert {"cifg_lstm", "elman", "gru", "lstm", "peephole_lstm"} <= set(everything["model"])
    assert set(everything["trainer"]) == {"auto", "cpu", "gpu", "ddp", "fsdp"}
    for group in everything.values():
        assert all(entry["summary"] and entry["provider"] for entry in group.values())


@pytest.mark.usefixtures("_one_cell")
def test_a_component_stands_beside_its_provider(capsys):
    assert run(["list", "model"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "model="
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in lines}
    assert rows["listed"][0] == "tests"  # the package that holds this file
    assert rows["lstm"][0] == "seqkit"
    assert list(rows) == sorted(rows)


def test_a_kind_that_is_not_there(capsys):
    assert run(["list", "modell"]) == 1
    assert capsys.readouterr().err.startswith("seqkit: no kind of component 'modell'. Did you mean 'model'?")

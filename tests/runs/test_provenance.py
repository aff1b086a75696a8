"""Provenance: what is recorded of each component, and what is said where it differs."""

import json
import sys
from importlib import metadata

import pytest
import torch

from seqkit import registry
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.hydra_cli import compose
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.origin import Origin
from seqkit.runs import provenance
from seqkit.runs.checkpoint import Checkpoint
from seqkit.tasks.next_token.spec import NextToken
from tests.conftest import TINY

OWN = {"distribution": "seqkit", "version": "0.1.0"}


def test_an_installed_distribution_with_the_digest_of_its_source():
    found = Origin.of(torch.nn.GRU.__module__).to_json()
    assert (found["distribution"], found["version"]) == ("torch", metadata.version("torch"))
    assert len(found["sha256"]) == 64


def test_every_component_is_there_those_of_the_spec_too():
    config = compose(TINY)
    saved = provenance.components(config)
    chosen = {"data=adding", "model=lstm", "optimizer=adamw", "scheduler=cosine", "trainer=lightning"}
    assert saved == dict.fromkeys(chosen, OWN)
    spec = DataSpec(Tokens(Characters(("<unk>", "a"))), NextToken())
    by_spec = {"frontend=embedding", "head=next_token", "inputs=tokens", "tokenizer=char", "task=next_token"}
    assert provenance.components(config, spec).keys() == chosen | by_spec
    assert provenance.change_reason(saved) == provenance.version_reason(saved) == ""


@pytest.mark.parametrize(("then", "line"), [
    ({"distribution": "cells", "version": "2"}, "model=lstm of cells 2, here of seqkit 0.1.0"),
    ({"file": "/gone/lstm.py", "sha256": "0"}, "model=lstm of /gone/lstm.py, here of seqkit 0.1.0"),
])  # fmt: skip
def test_a_change_is_one_line(then, line):
    saved = {**provenance.components(compose(TINY)), "model=lstm": then}
    assert provenance.change_reason(saved) == f"this run was made with other code: {line}"


def test_another_version_of_seqkit_is_no_change_of_code():
    saved = {"model=lstm": {**OWN, "version": "0.0.1"}}
    assert provenance.change_reason(saved) == ""
    assert provenance.version_reason(saved) == "this run was made with seqkit 0.0.1, here 0.1.0"


def test_a_missing_distribution_is_named():
    config = compose(TINY)
    config["model"] = {"name": "mgu"}
    with pytest.raises(ConfigError) as refusal:
        provenance.checked(config, {"model=mgu": {"distribution": "cells", "version": "2"}}, "x.ckpt")
    assert str(refusal.value) == (
        "this run's model 'mgu' came from cells 2, which is not installed here as a plugin: pip install cells==2"
    )
    with pytest.raises(ConfigError, match="x.ckpt: no model 'mgu'"):
        provenance.checked(config, None, "x.ckpt")


@pytest.mark.parametrize("saved", [
    None, [], 3, {"model": 1}, {"model=mgu": None}, {"model=mgu": {}}, {"smell=mgu": {"file": "x"}}, {"model=": {}},
    {"model=mgu": {"file": ["x"], "sha256": 3}}, {"model=mgu": {"file": "x" * 9999, "sha256": "0" * 64}},
    {"model=mgu": {"distribution": "a b; rm -rf /", "version": "2"}}, {"model=a.b/../c": {"distribution": "torch"}},
])  # fmt: skip
def test_what_a_stranger_wrote_is_read_without_harm(saved):
    assert "\n" not in provenance.provide(saved)
    assert "rm -rf" not in provenance.provide(saved)
    assert provenance.change_reason(saved) == provenance.version_reason(saved) == ""


def test_the_digest_is_that_of_the_code_that_runs(tmp_path, monkeypatch):
    (tmp_path / "edited.py").write_text("from helper import x\n\ndef scheduler(steps: int, mode: str) -> None: ...\n")
    (tmp_path / "helper.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_components", {kind: dict(group) for kind, group in registry._components.items()})
    import edited  # type: ignore[import-not-found]

    def digest():
        registry.register_scheduler("edited")(edited.scheduler)
        return registry.find("scheduler", "edited").origin.sha256

    first = digest()
    before = registry.find("scheduler", "edited").origin
    (tmp_path / "helper.py").write_text("x = 2\n")
    assert before.sha256 == first
    assert digest() != first
    for name in ("edited", "helper"):
        del sys.modules[name]


def test_a_run_names_what_its_data_chose_before_its_first_step(halfway):
    """A tokenizer that only an option of the data names is found by a resume too."""
    saved = json.loads((halfway / "config.json").read_text())["components"]
    assert saved == Checkpoint.read(halfway / "checkpoints/last.ckpt").metadata["components"]

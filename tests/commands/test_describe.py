"""What a component is, may be set to, and fits."""

import json
import re
import sys
from importlib import import_module

import pytest
import torch

import seqkit
from seqkit import registry
from seqkit.__main__ import run
from seqkit.report.options import arguments, body, options


def described(capsys, *words) -> dict:
    assert run(["describe", *words, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def _own_registry(monkeypatch):
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})


def components() -> list:
    registry.load_built_in()
    kinds = (*registry.KINDS, *registry.SPEC_KINDS)
    found = [component for kind in kinds for component in registry._components[kind].values()]
    return sorted((one for one in found if one.provider == "seqkit"), key=lambda one: (one.kind, one.name))


@pytest.mark.parametrize("component", components(), ids=lambda one: f"{one.kind}={one.name}")
def test_every_option_is_explained(component):
    for option in options(component.factory, component.doc):
        assert option["explanation"], option["name"]


def test_a_model_has_equations_options_and_a_size(capsys):
    found = described(capsys, "model=lstm", "model.hidden_size=8", "model.zoneout=0.1", "--input-size", "3")
    assert "c_t = f_t * c_{t-1} + i_t * tanh(W_c x_t + U_c h_{t-1} + b_c)" in found["text"].splitlines()
    sizes = next(option for option in found["options"] if option["name"] == "hidden_size")
    assert (sizes["type"], sizes["default"]) == ("int above 0", 256)
    lstm = torch.nn.LSTM(3, 8)
    assert found["parameters"] == sum(parameter.numel() for parameter in lstm.parameters())
    assert (found["input size"], found["output size"], found["causal"]) == (3, 8, True)
    assert found["provider"] == "seqkit"
    assert found["file"].endswith("lstm.py")
    assert set(found["backends"]) == {"layer 0"}


def test_a_model_of_both_directions_is_not_causal(capsys):
    found = described(capsys, "model=gru", "model.bidirectional=true")
    assert found["causal"] is False
    assert found["fits"]["heads"] == "any that need no causal model"


@pytest.mark.parametrize(("what", "fits"), [
    ("head=classify", {"tasks": ["classify"], "data": ["timing"], "needs a causal model": False}),
    ("head=next_token", {"tasks": ["next_token"], "data": ["python_source"], "needs a causal model": True}),
    ("frontend=logmel", {"inputs": ["waveform"], "data": ["morse"]}),
    ("data=morse", {"inputs": "waveform", "task": "transcribe", "default frontend": "logmel", "default head": "transcribe"}),
    ("task=forecast", {"default head": "forecast", "heads": ["distribution_forecast", "forecast", "quantile_forecast"],
                       "data": ["adding", "sea_temperature"]}),
    ("inputs=tokens", {"default frontend": "embedding", "frontends": ["embedding"], "data": ["python_source"]}),
    ("tokenizer=word", {}),
    ("optimizer=adamw", {}),
])  # fmt: skip
def test_what_a_component_fits(what, fits, capsys):
    assert described(capsys, what)["fits"] == fits


def test_data_without_its_options_say_what_they_need(capsys):
    assert run(["describe", "data=text_files"]) == 0
    assert "unknown yet: data=text_files needs data.path=FILE.txt" in capsys.readouterr().out


def test_data_with_options(capsys):
    found = described(capsys, "data=adding", "data.length=4")
    assert found["fits"]["task"] == "forecast"


@pytest.mark.parametrize(
    "words", [["model=lstm"], ["model=lstm", "model.hidden_size=4"], ["head=classify"], ["data=adding"]]
)
def test_what_seqkit_provides_is_described_without_plugins(words, capsys, monkeypatch):
    def load(kind, name):
        raise AssertionError("plugins are looked for")

    monkeypatch.setattr(registry, "finders", [load])
    described(capsys, *words)


@pytest.mark.usefixtures("_own_registry")
def test_a_faulty_data_set_does_not_hinder_others(capsys):
    @seqkit.register_data("faulty")
    class Faulty:
        """Never works."""

        def setup(self):
            raise OSError("gone")

        def part(self, split): ...

        def collate(self, samples): ...

        def order(self, split, batch_size, seed, epoch): ...

    assert described(capsys, "head=classify")["fits"]["data"] == ["timing"]


@pytest.mark.usefixtures("_own_registry")
@pytest.mark.parametrize(("kind", "parameters"), [("frontend", "spec"), ("head", "size, spec, causal")])
def test_what_fits_nothing_says_why(kind, parameters, capsys, tmp_path, monkeypatch):
    (tmp_path / "failing.py").write_text(f"def mine({parameters}):\n    return spec.nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry.register(kind, "mine")(import_module("failing").mine)
    sys.modules.pop("failing")
    assert run(["describe", f"{kind}=mine"]) == 0
    out = capsys.readouterr().out
    assert "\n  data: none that was tried\n" in out
    assert re.search(r"\n  fails: with data=adding by AttributeError: .* 'nothing' \(.*failing.py:2\)\n", out), out


def test_the_text_for_a_person(capsys):
    assert run(["describe", "task=classify"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "task=classify: One class per sequence; a class's id is its place in ``names``.\nfrom seqkit, "
    )
    assert "\nfields, set by the data set:\n  names=required  (str, ...)\n      Of the classes.\n" in out
    assert run(["describe", "model=elman"]) == 0
    out = capsys.readouterr().out
    assert "\nat input size 64: output size 256, 82,432 parameters, causal\n" in out


def test_a_preset_and_a_trainer(capsys):
    assert described(capsys, "experiment=adding")["preset"].startswith("# @package _global_\n# The adding problem")
    assert described(capsys, "trainer=cpu")["component"] == "trainer=lightning"
    assert run(["describe", "model=lsmt"]) == 1
    assert "Did you mean 'lstm'?" in capsys.readouterr().err


DOC = """Summary.

h_t = x_t
y_t: h_t

Args:
    size: How
        large.
    rate: How fast.

Raises:
    ValueError: Never.
"""


def test_parts_of_a_docstring():
    assert body(DOC) == "h_t = x_t\ny_t: h_t"
    assert arguments(DOC) == {"size": "How large.", "rate": "How fast."}
    assert body("Summary.") == ""

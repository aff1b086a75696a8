"""Registering, finding and building components."""

import json
import re
from dataclasses import dataclass

import pytest
from pydantic import PositiveInt

import seqkit
from seqkit import registry
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, PluginError
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters, Words
from seqkit.inputs.waveform.spec import Waveform
from seqkit.specs import spec_from_json, spec_to_json
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.spec import NextToken
from seqkit.tasks.transcribe.spec import Transcript


@pytest.fixture
def clean(monkeypatch):
    """Forget what a test registers."""
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})


@pytest.mark.usefixtures("clean")
def test_a_registered_class_is_built_with_checked_options():
    @registry.register_model("thing")
    class Thing:
        """A thing."""

        def __init__(self, input_size: int, *, width: PositiveInt = 3) -> None:
            self.made = (input_size, width)

    assert registry.build("model", "thing", 7).made == (7, 3)
    assert registry.build("model", {"name": "thing", "width": 5}, 7).made == (7, 5)
    assert registry.check("model", {"name": "thing"}) == {"name": "thing", "width": 3}
    assert registry.find("model", "thing").summary == "A thing."
    with pytest.raises(ConfigError, match="model.width=0: input should be greater than 0"):
        registry.build("model", {"name": "thing", "width": 0}, 7)


@pytest.mark.usefixtures("clean")
def test_a_name_is_taken_once():
    def first(output_size, spec, causal, *, size: int = 1) -> None: ...

    def second(output_size, spec, causal, *, size: int = 1) -> None: ...

    registry.register_head("thing")(first)
    registry.register_head("thing")(first)  # a module that is reloaded registers again
    with pytest.raises(PluginError, match=r"test_registry.py:\d+: head 'thing' is already registered by tests"):
        registry.register_head("thing")(second)
    with pytest.raises(PluginError, match="model name 'two words' must be letters, digits and _"):
        registry.register_model("two words")(first)


@pytest.mark.usefixtures("clean")
def test_an_option_cannot_be_called_name():
    def named(*, name: str = "x") -> None: ...

    with pytest.raises(PluginError, match="model 'thing' has an option 'name', which is the component's own"):
        registry.register_model("thing")(named)


SIGNATURES = {
    "data": ("path, *, size: int = 1", "(path, *, ...); it must take (*, ...)"),
    "frontend": ("*, size: int = 1", "(*, ...); it must take (spec, *, ...)"),
    "model": ("size, hidden, *, layers: int = 1", "(size, hidden, *, ...); it must take (input_size, *, ...)"),
    "head": ("size, spec", "(size, spec, *, ...); it must take (output_size, spec, causal, *, ...)"),
    "optimizer": ("parameters, lr", "(parameters, lr, *, ...); it must take (parameters, *, ...)"),
    "scheduler": ("total", "(total, *, ...); it must take (total_steps, mode, *, ...)"),
    "logger": ("*, folder: str", "(*, ...); it must take (folder, config, *, ...)"),
}


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("kind", SIGNATURES)
def test_a_component_takes_what_its_kind_is_called_with(kind):
    parameters, line = SIGNATURES[kind]
    made: dict = {"__name__": __name__}
    exec(f"def mine({parameters}): ...", made)
    with pytest.raises(PluginError) as refusal:
        registry.register(kind, "mine")(made["mine"])
    assert re.fullmatch(
        rf".*test_registry\.py:\d+: {kind} 'mine' takes .*, where its options follow the \*", str(refusal.value)
    )
    assert line in str(refusal.value)


@pytest.mark.usefixtures("clean")
def test_the_names_of_what_a_kind_is_called_with_are_the_authors_and_more_may_have_defaults():
    def head(size, of, ahead, rows_per_sequence=1, *, width: int = 3): ...

    def data(seed=0): ...

    assert registry.register_head("mine")(head) is head
    assert registry.register_data("mine")(data) is data


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("kind", registry.SPEC_KINDS)
def test_what_a_data_spec_is_made_of_is_frozen(kind):
    methods = dict.fromkeys(registry.METHODS[kind])
    thawed, frozen = (dataclass(frozen=frozen)(type("Mine", (), methods)) for frozen in (False, True))
    with pytest.raises(
        PluginError, match=rf"test_registry.py:\d+: {kind} 'mine' is no frozen dataclass; write @dataclass"
    ):
        registry.register(kind, "mine")(thawed)
    assert registry.register(kind, "mine")(frozen) is frozen


def test_unknown_names():
    with pytest.raises(ConfigError) as refusal:
        registry.build("model", "lsmt", 3)
    assert str(refusal.value).startswith(
        "no model 'lsmt'. Did you mean 'lstm'? Known: cifg_lstm, diagonal_gru, diagonal_lstm, elman, gru, lstm, peephole_lstm"
    )
    with pytest.raises(ConfigError, match=r"no model 'mine'. Known: .*; a plugin is found once it is installed "):
        registry.find("model", "mine")
    with pytest.raises(ConfigError, match="no kind of component 'modle'. Did you mean 'model'?"):
        registry.find("modle", "lstm")
    known = ", ".join(registry.names("head"))
    with pytest.raises(ConfigError, match=f"head needs a name. Known: {known}"):
        registry.build("head", {})


def test_every_component_is_explained():
    for kind in registry.KINDS:
        for name in registry.names(kind):
            component = registry.find(kind, name)
            assert component.summary, f"{kind}={name} has no docstring"


def test_no_preset_shadows_a_component():
    from importlib.resources import files

    for kind in registry.KINDS:
        folder = files("seqkit.conf").joinpath(kind)
        presets = {entry.name.removesuffix(".yaml") for entry in folder.iterdir()} if folder.is_dir() else set()
        assert not presets & set(registry.names(kind))


def test_the_public_api_is_there():
    for name in seqkit.__all__:
        assert getattr(seqkit, name) is not None
    with pytest.raises(AttributeError, match="module 'seqkit' has no attribute 'trian'"):
        seqkit.trian  # noqa: B018


@pytest.mark.usefixtures("clean")
def test_a_class_must_have_its_methods():
    class Empty:
        def __init__(self, *, size: int = 3) -> None: ...

    with pytest.raises(PluginError, match="data 'mine' lacks setup, part, collate, order; seqkit.contracts says"):
        registry.register_data("mine")(Empty)
    with pytest.raises(PluginError, match="head 'mine' lacks loss, predict; seqkit.contracts says"):
        registry.register_head("mine")(Empty)


SPECS = [
    DataSpec(Tokens(Characters(("<unk>", "a"))), NextToken()),
    DataSpec(Tokens(Words(("<unk>", "<eos>", "a"))), Classes(("x",), (1,))),
    DataSpec(Frames(("x", "y"), (0.0, 1.5), (1.0, 2.0), 0.5), Series(3, ("y",), (1.5,), (2.0,), 10, 24)),
    DataSpec(Frames(("x",), (0.0,), (1.0,)), Series(1, ("sum",), (1.0,), (1.0,))),
    DataSpec(Waveform(8000), Classes(("no", "yes"), (3, 4))),
    DataSpec(Waveform(8000), Transcript(("A", " "))),
]


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_survives_json(spec):
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        [],
        {"inputs": {}},
        {"inputs": {"kind": "inputs", "name": "smells"}, "task": {"kind": "task", "name": "next_token"}},
        {"inputs": {"kind": "inputs", "name": "waveform", "rate": 1}, "task": {"kind": "task", "name": "next_token"}},
        {"inputs": {"kind": ["inputs"], "name": "waveform"}, "task": 3},
    ],
)
def test_a_damaged_spec_is_one_line(damaged):
    with pytest.raises(ConfigError) as refusal:
        spec_from_json(damaged)
    assert "\n" not in str(refusal.value)

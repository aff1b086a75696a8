"""Whole models of a plugin, with a state and without, over the life of a run; and what they may not return."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn

import seqkit
from seqkit import registry
from seqkit.__main__ import run
from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, PluginError
from seqkit.inputs.frames.spec import Frames
from seqkit.network import Network, assemble
from seqkit.tasks.classify.spec import Classes
from tests.training.test_resume import Killed, assert_equal, die_by_exception, kill_at, outcome

NAMES = ("tcn", "attention", "window_attention")
FRAMES = DataSpec(Frames(("x", "y"), (0.0, 0.0), (1.0, 1.0)), Classes(("no", "yes"), (1, 1)))


@pytest.fixture(autouse=True)
def _plugin(monkeypatch):
    """Register the models for one test only."""
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})
    sys.modules.pop("tests.plugins.whole_models", None)
    import_module("tests.plugins.whole_models")


def text(name: str) -> list[str]:
    Path("text.txt").write_text("".join(f"line {number} of {number * number}\n" for number in range(60)))
    return [
        "data=text_files", "data.path=text.txt", "data.split=[0.8,0.1,0.1]", "data.batch_size=2", "data.seq_len=16",
        "data.eval_streams=2", f"model={name}", "model.hidden_size=4", "trainer.accelerator=cpu",
        "trainer.max_steps=6", "trainer.val_check_interval=3", "trainer.checkpoint_every_n_steps=2",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_trains_on_streams_resumes_to_the_bit_and_is_scored_alike_on_any_batch_size(name, monkeypatch, capsys):
    report = seqkit.train([*text(name), "id=whole"])
    said = "the model carries no state: each chunk of a stream is read by itself"
    assert capsys.readouterr().err.count(said) == (name == "attention")
    with monkeypatch.context() as patch:
        kill_at(patch, "training_step", 5, die_by_exception)
        with pytest.raises(Killed):
            seqkit.train([*text(name), "id=killed"])
    assert run(["resume", "runs/text_files/killed"]) == 0, capsys.readouterr().err
    assert_equal(outcome("runs/text_files/killed"), outcome("runs/text_files/whole"))
    assert seqkit.load("runs/text_files/whole", "cpu").evaluate(batch_size=1)["model"] == report["test"]


def logits(trained, words: str) -> torch.Tensor:
    """Return the logits after each token of a text, read as a whole."""
    with torch.no_grad():
        return trained.network(Batch(trained.spec.inputs.read(words)[None]))[0]


def trained_on_text(name: str, steps: int = 1):
    seqkit.train([*text(name), f"trainer.max_steps={steps}", "id=a"])
    return seqkit.load("runs/text_files/a", "cpu")


@pytest.mark.parametrize("name", NAMES)
def test_predict_generate_and_stream_never_forget_what_came_before(name, monkeypatch):
    from seqkit.inference import predict

    trained = trained_on_text(name)
    words = "line 1 of 1\nline 2 of 4\nline 3 of"
    (whole,) = trained.predict(words)
    monkeypatch.setattr(predict, "CHUNK", 7)
    (chunked,) = trained.predict(words)
    assert chunked["next"] == pytest.approx(whole["next"], rel=1e-4)
    assert chunked["bits_per_character"] == pytest.approx(whole["bits_per_character"], rel=1e-4)

    vocabulary = trained.spec.inputs.vocabulary
    written = trained.generate("line", 5, temperature=0)
    for end in range(4, 9):
        logits_V = logits(trained, written[:end])[0, -1]
        logits_V[vocabulary.index("<unk>")] = -torch.inf
        assert vocabulary[int(logits_V.argmax())] == written[end]

    if name == "attention":
        with pytest.raises(ConfigError) as refusal:
            trained.stream()
        assert str(refusal.value) == (
            "stream: Attention carries no state, so what came before a chunk would be forgotten; "
            "use predict on the whole sequence"
        )
        return
    stream = trained.stream()
    for start in range(0, len(words), 5):
        answer = stream.feed(words[start : start + 5])
    assert answer["next"] == pytest.approx(whole["next"], rel=1e-4)


# --- what a frontend or a model may not be or return


class Part(nn.Module):
    """A model or frontend that returns what it is given to return."""

    causal = True

    def __init__(self, returned=None, output_size=2) -> None:
        super().__init__()
        self.output_size = output_size
        self.returned = returned
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x, lengths, state=None):
        return self.returned


class Mean(nn.Module):
    def forward(self, y_BTH, lengths_B, batch):
        return y_BTH.mean(1)


RULE = "a model returns a tuple of tensors, each with the batch as its second axis, or () if it has none"


@pytest.mark.parametrize(("returned", "line"), [
    (torch.zeros(3, 5, 2), "a tensor of shape (3, 5, 2); a model returns (y_BTH, state), the state () if it has none"),
    (torch.zeros(2, 5, 2), "a tensor of shape (2, 5, 2); a model returns (y_BTH, state), the state () if it has none"),
    ((torch.zeros(3, 5, 4), ()), "an output of shape (3, 5, 4) for an input of (3, 5, 2); "
     "a model with output_size=2 returns (3, 5, 2)"),
    ((torch.zeros(5, 3, 2), ()), "an output of shape (5, 3, 2) for an input of (3, 5, 2); "
     "a model with output_size=2 returns (3, 5, 2)"),
    ((torch.zeros(3, 5, 2), None), f"None as its state; {RULE}"),
    ((torch.zeros(3, 5, 2), torch.zeros(1, 3, 2)), f"a tensor of shape (1, 3, 2) as its state; {RULE}"),
    ((torch.zeros(3, 5, 2), [torch.zeros(1, 3, 2)]), f"a list of 1 as its state; {RULE}"),
    ((torch.zeros(3, 5, 2), (torch.zeros(3, 2),)), f"a state of shape (3, 2) for 3 rows; {RULE}"),
], ids=["output", "pair", "size", "time_first", "none", "tensor", "list", "batch_first"])  # fmt: skip
def test_a_model_that_returns_something_else_is_named(returned, line):
    network = Network(Part((torch.zeros(3, 5, 2), None)), Part(returned), Mean())
    with pytest.raises(PluginError) as error:
        network(Batch(torch.zeros(3, 5, 2)))
    assert str(error.value) == f"Part returned {line}"


@pytest.mark.parametrize(("returned", "line"), [
    (torch.zeros(3, 5, 2), "a tensor of shape (3, 5, 2); a frontend returns (x_BTI, lengths_B), "
     "its steps and the valid ones of each row"),
    ((torch.zeros(3, 5, 4), None), "steps of shape (3, 5, 4); a frontend with output_size=2 returns (B, T, 2)"),
    ((torch.zeros(3, 5, 2), [5, 4, 3]), "a list of 3 for the lengths of 3 rows; "
     "a frontend returns a tensor (B,), the valid steps of each row, or None where all are"),
], ids=["steps", "size", "lengths"])  # fmt: skip
def test_a_frontend_that_returns_something_else_is_named(returned, line):
    network = Network(Part(returned), Part((torch.zeros(3, 5, 2), ())), Mean())
    with pytest.raises(PluginError) as error:
        network(Batch(torch.zeros(3, 5, 2)))
    assert str(error.value) == f"Part returned {line}"


def refused(kind: str, made) -> str:
    registry.register(kind, "mine")(made)
    config = {"frontend": None, "model": "gru", "head": None, kind: "mine"}
    with pytest.raises(PluginError) as error:
        assemble(config, FRAMES)
    found = re.fullmatch(rf"{kind}=mine \(.*test_whole_models.py:\d+\): (.*)", str(error.value))
    assert found, error.value
    return found[1]


def test_a_model_or_frontend_that_lacks_something_is_named():
    class NoCausal(Part):
        causal = None

    class OneArgument(Part):
        def forward(self, x):
            return x, ()

    size = "a model says there how many features of each step of its output, 1 or more"
    assert refused("model", lambda input_size: nn.Identity()) == f"Identity has no 'output_size'; {size}"
    assert refused("model", lambda input_size: Part(output_size=0)) == f"Part has output_size=0; {size}"
    assert refused("frontend", lambda spec: Part(output_size=2.0)) == (
        "Part has output_size=2.0; a frontend says there how many features of each step that it gives, 1 or more"
    )
    assert refused("model", lambda input_size: NoCausal()) == (
        "NoCausal has no 'causal'; a model says there, True or False, whether its output at a step depends on that step "
        "and earlier ones only"
    )
    assert refused("model", lambda input_size: OneArgument()) == (
        "OneArgument is called as (x_BTI, lengths_B, state), as a model is: too many positional arguments"
    )


def test_what_a_plugin_returns_is_refused_with_its_name_and_line():
    registry.register("model", "mine")(lambda input_size: Part(None))
    network = assemble({"frontend": None, "model": "mine", "head": None}, FRAMES)
    with pytest.raises(PluginError, match=r"^model=mine \(.*test_whole_models.py:\d+\): Part returned None; a model"):
        network(Batch(torch.zeros(3, 5, 2)))

"""Export of models that are no recurrent stack: captured as they are, or refused with the author's line."""

from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.export import onnx as onnx_files
from seqkit.export.exporting import largest_difference, write
from seqkit.export.program import run_torch
from seqkit.inputs.frames.spec import Frames
from seqkit.models import Recurrent
from seqkit.models.cells.gru import GRU
from seqkit.network import Network, assemble
from seqkit.tasks.classify.spec import Classes

pytest.importorskip("onnxruntime")
SPEC = DataSpec(Frames(("x", "y"), (0.0, 0.0), (1.0, 1.0)), Classes(("no", "yes"), (1, 1)))


@pytest.fixture
def network(monkeypatch):
    """Return a function that puts a network around a model, by its name in the plugin or itself."""
    from seqkit import registry

    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})
    models = import_module("tests.plugins.whole_models")

    def made(model) -> Network:
        torch.manual_seed(0)
        registry.register("model", "mine")(getattr(models, model) if isinstance(model, str) else model)
        config = {"frontend": None, "model": {"name": "mine", "hidden_size": 4}, "head": None}
        return assemble(config, SPEC).eval().requires_grad_(False)

    return made


def described(facts: dict, side: str) -> dict:
    return {value["name"]: value["shape"] for value in facts[side]}


def test_a_model_without_a_state_has_none_on_either_side(network):
    content, facts = write(network("Attention"), SPEC, "onnx")
    assert facts["layers"] == ["Attention, captured as it is"]
    assert described(facts, "inputs") == {"inputs": ["batch", "time", 2], "lengths": ["batch"]}
    assert described(facts, "outputs") == {"outputs": ["batch", 2], "output_lengths": ["batch"]}
    assert facts["difference"] < 1e-5
    assert b"site-packages" not in content


def test_states_are_named_by_the_model_and_start_as_it_says(network):
    whole = network("WindowAttention")
    content, facts = write(whole, SPEC, "onnx")
    cache = {"key": [1, "batch", 7, 4], "value": [1, "batch", 7, 4], "filled": [1, "batch", 7, 1]}
    states = {f"initial_{name}": shape for name, shape in cache.items()}
    assert described(facts, "inputs") == {"inputs": ["batch", "time", 2], "lengths": ["batch"], **states}
    assert [value["start"] for value in facts["inputs"][2:]] == [0.0, 0.0, 0.0]

    inputs, lengths_B = torch.randn(3, 20, 2), torch.tensor([20, 9, 1])
    run = onnx_files.run_onnx(content)
    _, _, *state = run([inputs[:, :7], lengths_B.clamp(max=7), *whole.model.initial_state(3)])
    _, _, *found = run([inputs[:, 7:], (lengths_B - 7).clamp(min=0), *state])
    _, _, due = whole(Batch(inputs, lengths_B))
    torch.testing.assert_close(found, list(due))


def test_torch_takes_a_state_of_any_shape_without_names(network):
    whole = network("TCN")
    content, facts = write(whole, SPEC, "torch")
    assert list(described(facts, "outputs")) == ["outputs", "output_lengths", "final_state0", "final_state1"]
    assert facts["difference"] < 1e-6
    assert largest_difference(run_torch(content), whole, SPEC) == facts["difference"]


class OnAStack(nn.Module):
    """A model of a plugin that holds a recurrent stack of seqkit."""

    causal = True

    def __init__(self, input_size: int, *, hidden_size: int = 4) -> None:
        super().__init__()
        self.output_size = 3
        self.stack = Recurrent(GRU, input_size, hidden_size=hidden_size, learned_state=True)
        self.linear = nn.Linear(hidden_size, 3)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        return self.stack.initial_state(batch_size)

    def forward(self, x_BTI: Tensor, lengths_B: Tensor | None = None, state=None):
        y_BTH, state = self.stack(x_BTI, lengths_B, state)
        other_BTH, _ = self.stack(x_BTI.cumsum(1))
        return self.linear(y_BTH * other_BTH.sigmoid()), state


@pytest.mark.parametrize("format", ["onnx", "torch"])
def test_a_stack_inside_a_model_has_no_loop_over_time(network, format):
    whole = network(OnAStack)
    nn.init.normal_(whole.model.stack.layers[0][0].initial)
    content, facts = write(whole, SPEC, format)
    assert facts["layers"] == ["OnAStack, captured as it is"]
    assert facts["difference"] < 1e-5
    assert isinstance(whole.model.stack, Recurrent)  # as it was
    if format == "onnx":
        import onnx

        operators = [node.op_type for node in onnx.load_from_string(content).graph.node]
        assert operators.count("GRU") == 2


class Looping(OnAStack):
    def forward(self, x_BTI, lengths_B=None, state=None):
        y_BTI = x_BTI[:, :, :1].repeat(1, 1, 3)
        for t in range(1, x_BTI.shape[1]):
            y_BTI = y_BTI * 0.5 + t
        return y_BTI, ()


class Branching(OnAStack):
    def forward(self, x_BTI, lengths_B=None, state=None):
        y_BTI = x_BTI[:, :, :1].repeat(1, 1, 3)
        return (y_BTI if y_BTI.sum() > 0 else -y_BTI), ()


class Headless(OnAStack):
    def forward(self, x_BTI, lengths_B=None, state=None):
        x_BTI = torch.cat((x_BTI, x_BTI[:, :, :1]), 2)
        return nn.functional.scaled_dot_product_attention(x_BTI, x_BTI, x_BTI, is_causal=True), ()


@pytest.mark.parametrize(("model", "format", "reason", "place"), [
    (Looping, "torch", "torch.export cannot follow this model: a part of it takes 50 steps and no other number: ",
     "for t in range(1, x_BTI.shape[1]):"),
    (Branching, "torch", "torch.export cannot follow this model: Data-dependent branching ", "y_BTI.sum() > 0 else"),
    (Headless, "onnx", "export to onnx: only 4D query, key, and value are supported", "return nn.functional.scaled"),
], ids=["loop", "branch", "operation"])  # fmt: skip
def test_what_cannot_be_followed_is_refused_with_its_line(network, model, format, reason, place, capsys):
    with pytest.raises(ConfigError) as error:
        write(network(model), SPEC, format)
    here = Path(__file__)
    line = next(number for number, words in enumerate(here.read_text().splitlines(), 1) if place in words)
    assert str(error.value).startswith(reason)
    assert str(error.value).endswith(f"{here.name}:{line})")
    assert "\n" not in str(error.value)
    assert capsys.readouterr() == ("", "")

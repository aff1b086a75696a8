"""Exported files against the network they were made of, run by onnxruntime and by torch.export, and every refusal."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seqkit import registry
from seqkit.__main__ import run
from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.export import onnx as onnx_files
from seqkit.export import program as exporters
from seqkit.export.exporting import largest_difference, write
from seqkit.export.portable import Portable
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.inputs.waveform.spec import Waveform
from seqkit.models import Recurrent
from seqkit.network import Network, assemble
from seqkit.specs import spec_to_json
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.spec import NextToken
from seqkit.tasks.transcribe.spec import Transcript
from seqkit.trained import load
from tests.models.test_stack import MGU, NAMES, of

pytest.importorskip("onnxruntime")

FRAMES = Frames(("x", "y"), (1.0, 20.0), (1.0, 3.0))
SERIES = Series(4, ("y",), (20.0,), (3.0,), 12, None)
TEXT = DataSpec(Tokens(Characters(("<unk>", "a", "b"))), NextToken())
CLASSES = Classes(("no", "yes"), (3, 4))

# option sets of stacks, and whether an operator of ONNX can express them
TOGETHER = [
    ({"num_layers": 2, "residual": True, "learned_state": True}, True),
    ({"bidirectional": True, "projection_size": 2}, True),
    ({"layer_norm": True, "zoneout": 0.2}, False),
]
APART = [
    ({"num_layers": 2}, True),
    ({"bidirectional": True}, True),
    ({"projection_size": 2}, True),
    ({"num_layers": 2, "residual": True}, True),
    ({"layer_norm": True}, False),
    ({"zoneout": 0.2}, False),
    ({"num_layers": 2, "bidirectional": True, "projection_size": 2, "layer_norm": True, "zoneout": 0.1}, False),
]
OTHERS = "lstm", "cifg_lstm", "elman", "diagonal_gru", "diagonal_lstm"  # by the same code as those that are not slow
ALIKE = [pytest.param(name, marks=[pytest.mark.slow] if name in OTHERS else []) for name in NAMES]
OPERATOR = {"lstm": "LSTM", "peephole_lstm": "LSTM", "cifg_lstm": "LSTM", "gru": "GRU", "elman": "RNN"}


@pytest.fixture
def mgu(monkeypatch):
    from seqkit.models import register_cell

    registry.load_built_in()
    monkeypatch.setitem(registry._components, "model", dict(registry._components["model"]))
    register_cell("mgu")(MGU)


class Same(nn.Module):
    """A frontend or head that does nothing."""

    def forward(self, x, *rest):
        return (x, *rest) if len(rest) == 1 else x


class Several(nn.Module):
    """Stacks side by side on the same input, as one export costs as much as many."""

    def __init__(self, stacks: list[Portable], states: int):
        super().__init__()
        self.stacks = nn.ModuleList(stacks)
        self.states = states

    def forward(self, x_BTI: Tensor, lengths_B: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        found = []
        for number, stack in enumerate(self.stacks):
            own = state[number * self.states : (number + 1) * self.states]
            y_BTO, _, *after = stack(x_BTI, lengths_B, *own)
            found += [y_BTO, *after]
        return tuple(found)


def stack(name: str, **options):
    torch.manual_seed(1)
    model = registry.build("model", {"name": name, "hidden_size": 4, **options}, 3)
    for weight in model.parameters():  # nothing may stay zero, or it would not be tested
        nn.init.uniform_(weight, -1, 1)
    return model.eval().requires_grad_(False)


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("stacks", [TOGETHER, pytest.param(APART, marks=pytest.mark.slow)], ids=["together", "apart"])
@torch.no_grad()
def test_every_stack_in_onnxruntime(mgu, name, stacks):
    models = [stack(name, **of(name, options)) for options, _ in stacks]
    portables = [Portable(Network(Same(), model, Same()), "onnx").eval() for model in models]
    for portable, (_, expressible) in zip(portables, stacks, strict=True):
        step = f"a scan over {type(models[0].layers[0][0].cell).__name__}.step"
        how = f"ONNX's {OPERATOR[name]}" if expressible and name in OPERATOR else step
        assert set(portable.written) == {how}
    count = len(models[0].layers[0][0].cell.states)

    def start(batch: int) -> list[list[Tensor]]:
        return [[draw(*p.shape, seed=n) / 2 for n, p in enumerate(m.initial_state(batch))] for m in models]

    several = Several(portables, count).eval()
    example = (draw(2, 5, 3, seed=1), torch.tensor([5, 3]), *(part for parts in start(2) for part in parts))
    program = exporters.capture(several, example)
    outputs = [f"y{number}" for number in range(len(models) * (1 + count))]
    inputs = ["x", "lengths", *(f"s{number}" for number in range(len(models) * count))]
    execute = onnx_files.run_onnx(onnx_files.to_onnx(program, {"inputs": inputs, "outputs": outputs}, {}))

    def compare(x_BTI: Tensor, lengths: list[int], cut: int | None = None) -> None:
        lengths_B, state = torch.tensor(lengths), start(len(lengths))
        x_BTI = x_BTI.clone()
        for row, length in enumerate(lengths):
            x_BTI[row, length:] = float("nan")
        due = [model(x_BTI, lengths_B, tuple(own)) for model, own in zip(models, state, strict=True)]
        if cut is None:
            found = execute([x_BTI, lengths_B, *(part for parts in state for part in parts)])
        else:
            first = execute([x_BTI[:, :cut], lengths_B.clamp(max=cut), *(part for parts in state for part in parts)])
            carried = [part for number, part in enumerate(first) if number % (1 + count)]
            found = execute([x_BTI[:, cut:], (lengths_B - cut).clamp(min=0), *carried])
            for number in range(0, len(found), 1 + count):
                found[number] = torch.cat((first[number], found[number]), 1)
        for number, ((y_BTO, after), model) in enumerate(zip(due, models, strict=True)):
            if cut is not None and not model.causal:
                continue
            own = found[number * (1 + count) : (number + 1) * (1 + count)]
            for got, expected in zip(own, (y_BTO, *after), strict=True):
                torch.testing.assert_close(got, expected, rtol=0, atol=1e-5, msg=lambda m, n=number: f"{stacks[n]} {m}")

    compare(draw(4, 7, 3, seed=2), [7, 1, 4, 0])
    compare(draw(1, 1, 3, seed=3), [1])
    compare(draw(3, 40, 3, seed=4), [40, 13, 2], cut=9)


def network(spec: DataSpec, model: str = "lstm", frontend=None, head=None, **options) -> Network:
    torch.manual_seed(0)
    config = {"frontend": frontend, "head": head, "model": {"name": model, "hidden_size": 4, **options}}
    return assemble(config, spec).eval().requires_grad_(False)


NETWORKS = {
    "text": (TEXT, {"model": "peephole_lstm", "num_layers": 2}, ["LSTM", "LSTM"], {"outputs": ["batch", "time", 3]}),
    "series": (
        DataSpec(FRAMES, SERIES),
        {"model": "gru", "frontend": {"name": "frames", "patch": 4}},
        ["GRU"],
        {"inputs": ["batch", "time", 2], "outputs": ["batch", 4, 1]},
    ),
    "classes": (
        DataSpec(FRAMES, CLASSES),
        {"model": "elman", "bidirectional": True, "head": {"name": "classify", "pooling": "last"}},
        ["RNN"],
        {"initial_hidden": [2, "batch", 4], "outputs": ["batch", 2]},
    ),
    "sound": (
        DataSpec(Waveform(4000), Transcript(("a", "b"))),
        {"frontend": {"name": "logmel", "n_mels": 8, "stack": 2}},
        ["LSTM"],
        {"inputs": ["batch", "time"], "output_lengths": ["batch"]},
    ),
}


@pytest.mark.parametrize("which", NETWORKS)
def test_whole_networks_in_onnxruntime(which):
    import onnx

    spec, chosen, operators, shapes = NETWORKS[which]
    whole = network(spec, **chosen)
    content, facts = write(whole, spec, "onnx")
    assert facts["difference"] < 2e-5
    assert facts["difference"] == largest_difference(onnx_files.run_onnx(content), whole, spec)
    described = {value["name"]: value["shape"] for value in facts["inputs"] + facts["outputs"]}
    assert described | shapes == described

    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node if node.op_type in ("LSTM", "GRU", "RNN", "Scan")] == operators
    assert facts["layers"] == [f"ONNX's {name}" for name in operators]
    for side, values in (("inputs", model.graph.input), ("outputs", model.graph.output)):
        said = [(value["name"], value["shape"]) for value in facts[side]]
        sizes = [[size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim] for value in values]
        assert said == [(value.name, shape) for value, shape in zip(values, sizes, strict=True)]
    states = [f"_{name}" for name in whole.model.layers[0][0].cell.states]
    assert [value["name"] for value in facts["inputs"]] == ["inputs", "lengths", *(f"initial{name}" for name in states)]
    assert [value["name"] for value in facts["outputs"]] == [
        "outputs",
        "output_lengths",
        *(f"final{name}" for name in states),
    ]
    assert b"site-packages" not in content  # no paths of this machine


def test_a_whole_network_in_torch():
    spec = DataSpec(FRAMES, SERIES)
    chosen = {"frontend": {"name": "frames", "channels": "apart"}, "head": {"name": "forecast"}}
    whole = network(spec, "gru", learned_state=True, **chosen)
    with torch.no_grad():
        whole.model.layers[0][0].initial.copy_(torch.tensor([[0.25, -0.5, 0, 1]]))
    content, facts = write(whole, spec, "torch")
    assert facts["difference"] < 1e-5
    assert facts["layers"] == ["a scan over GRU.step"]
    assert facts["inputs"][2]["shape"] == [1, "2*batch", 4]
    assert facts["inputs"][2]["start"] == [[0.25, -0.5, 0, 1]]
    inputs, lengths_B = draw(7, 31, 2, seed=0), torch.tensor([31, 1, 2, 3, 30, 9, 10])
    outputs, steps_B, state = whole(Batch(inputs, lengths_B))
    start = whole.model.initial_state(14)
    found = exporters.run_torch(content)([inputs, lengths_B, *start])
    for got, due in zip(found, (outputs, steps_B, *state), strict=True):
        torch.testing.assert_close(got, due, rtol=0, atol=1e-5)


# --- the command


@pytest.fixture
def trained():
    words = [
        "data=adding",
        "data.length=6",
        "data.train_size=32",
        "data.valid_size=8",
        "data.test_size=8",
        "data.batch_size=8",
    ]
    words += ["model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=2", "trainer.val_check_interval=2"]
    assert run(["train", *words, "id=a"]) == 0
    return Path("runs/adding/a")


def test_command(trained, capsys):
    capsys.readouterr()
    assert run(["export", str(trained)]) == 0
    line, told = capsys.readouterr()
    assert told.startswith("writing runs/adding/a/export/best.onnx, which can take minutes\n")
    assert line.startswith("runs/adding/a/export/best.onnx: 1 x ONNX's LSTM; differs from the network by at most ")
    assert len(line.splitlines()) == 1
    said = json.loads(Path("runs/adding/a/export/best.onnx.json").read_text())
    found = load(trained)
    assert said["spec"] == spec_to_json(found.spec)
    assert said["run"] == {"checkpoint": str(found.path), "step": 2, "hash": found.facts["hash"]}

    import onnxruntime

    session = onnxruntime.InferenceSession("runs/adding/a/export/best.onnx")
    x_BTI, state_LBH = torch.rand(3, 9, 2), torch.zeros(1, 3, 4)
    given = {
        "inputs": x_BTI,
        "lengths": torch.tensor([9, 5, 1]),
        "initial_hidden": state_LBH,
        "initial_cell": state_LBH,
    }
    (got,) = session.run(["outputs"], {name: value.numpy() for name, value in given.items()})
    with torch.no_grad():
        due, _, _ = found.network(Batch(x_BTI, given["lengths"]))
    torch.testing.assert_close(torch.from_numpy(got), due, rtol=0, atol=1e-5)

    assert run(["export", str(trained), "--format", "torch", "--output", "mine.pt2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == json.loads(Path("mine.pt2.json").read_text())
    assert facts["layers"] == ["a scan over LSTM.step"]
    got = torch.export.load("mine.pt2").module()(*given.values())[0]
    torch.testing.assert_close(got, due, rtol=0, atol=1e-5)

    assert run(["export", str(trained), "--output", "mine.txt"]) == 1
    assert (
        capsys.readouterr().err
        == "seqkit: mine.txt: a file of this format must be named *.onnx; give --format for the other\n"
    )
    assert run(["export", str(trained), "--output", "no/mine.onnx"]) == 1
    assert capsys.readouterr().err.startswith("seqkit: no: no such folder.")
    with pytest.raises(ConfigError, match=r"^format tflite: choose one of onnx, torch$"):
        found.export(format="tflite")


# --- refusals


def refused(whole: Network, spec: DataSpec, format: str) -> str:
    with pytest.raises(ConfigError) as error:
        write(whole, spec, format)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_missing_libraries_are_named(monkeypatch):
    monkeypatch.setattr(exporters, "has", lambda name: name != "onnxscript")
    with pytest.raises(ConfigError) as error:
        exporters.require("onnx")
    assert str(error.value) == "export to onnx needs onnxscript: pip install 'seqkit[onnx]'"
    exporters.require("torch")
    monkeypatch.setattr(torch, "__version__", "2.12.1")
    with pytest.raises(ConfigError, match=r"^export needs torch 2\.13 or newer, this is 2\.12\.1$"):
        exporters.require("torch")


def test_without_onnxruntime_it_is_written_unchecked(trained, monkeypatch, capsys):
    has = exporters.has
    monkeypatch.setattr(exporters, "has", lambda name: name != "onnxruntime" and has(name))
    capsys.readouterr()
    assert run(["export", str(trained)]) == 0
    assert capsys.readouterr().out.endswith("1 x ONNX's LSTM; not checked, as onnxruntime is not installed\n")


class Branching(nn.Module):
    output_size = 2

    def forward(self, inputs, lengths):
        return (inputs if inputs.sum() > 0 else -inputs), lengths


class Fixed(nn.Module):
    output_size = 2

    def forward(self, inputs, lengths):
        return inputs + torch.ones(50, 1), lengths


class Iterating(MGU):
    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2, hidden_size))

    def step(self, x_BG, recur, state):
        one, two = self.bias
        return (torch.tanh(x_BG.chunk(2, 1)[0] + recur(state[0], "forget") + one + two),)


class Eigenvalues(nn.Module):
    def forward(self, y_BTH, lengths_B, batch):
        return torch.linalg.eigvalsh(y_BTH.mT @ y_BTH)


def test_what_cannot_be_written_is_refused_with_its_line(capsys):
    spec, here = DataSpec(FRAMES, CLASSES), Path(__file__).resolve()
    text = here.read_text().splitlines()

    def line(words: str) -> str:
        number = next(number for number, content in enumerate(text, 1) if words in content)
        return f"({here}:{number})"

    cannot = "torch.export cannot follow this model:"
    whole = network(spec)
    whole.frontend = Branching()
    found = refused(whole, spec, "torch")
    assert found.startswith(f"{cannot} Data-dependent branching ")
    assert found.endswith(line("inputs.sum() > 0"))

    whole.frontend = Fixed()
    code = "return inputs + torch.ones(50, 1), lengths"
    place = line(code).replace(f"{here}", here.name)
    assert (
        refused(whole, spec, "torch") == f"{cannot} a part of it takes 50 steps and no other number: '{code}' {place}"
    )

    whole = network(spec)
    whole.model = Recurrent(Iterating, 2, hidden_size=4).eval().requires_grad_(False)
    reason = "a parameter is taken apart by iterating over it; use parameter.unbind(0)"
    assert refused(whole, spec, "onnx").startswith(f"{cannot} {reason}")

    whole = network(spec)
    whole.head = Eigenvalues()
    operation = "<OpOverload(op='aten._linalg_eigh', overload='default')>"
    assert refused(whole, spec, "onnx").startswith(f"export to onnx: No ONNX function found for {operation}.")
    assert capsys.readouterr() == ("", "")


def test_another_result_is_refused():
    whole = network(TEXT)

    def wrong(arguments: list[Tensor]) -> list[Tensor]:
        outputs, steps_B, state = whole(Batch(*arguments[:2]), tuple(arguments[2:]))
        return [outputs + 0.5, steps_B, *state]

    with pytest.raises(ConfigError) as error:
        largest_difference(wrong, whole, TEXT)
    assert str(error.value) == "what was exported differs from the network by 0.5, so it is not written"

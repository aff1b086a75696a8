"""A trained network as one file that needs no seqkit: ONNX, or torch's own exported program."""

# B batch, L layers, D directions (1 or 2), H hidden

import copy
import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

import seqkit
from seqkit.contracts import (
    Batch,
    Classes,
    DataSpec,
    Frames,
    NextToken,
    Series,
    Tokens,
    Transcript,
    Waveform,
)
from seqkit.errors import ConfigError
from seqkit.files import existing_folder, write_atomic
from seqkit.inference import exporters
from seqkit.inference.exporters import Runner
from seqkit.inference.portable import Format, Portable
from seqkit.network import Network

if TYPE_CHECKING:
    from seqkit.trained import Trained

SUFFIX: dict[str, str] = {"onnx": ".onnx", "torch": ".pt2"}
TOLERANCE = 1e-3  # in logits, deviations or states: far above rounding, far below anything that is wrong

READS: dict[type, str] = {
    Tokens: "tokens: places in spec.inputs.vocabulary",
    Frames: "frames in the units of the data, in the order of spec.inputs.names; the scaling is in the model",
    Waveform: "samples in -1 to 1, spec.inputs.sample_rate a second",
}
GIVES: dict[type, str] = {
    NextToken: "logits of the token after each token, in the order of spec.inputs.vocabulary",
    Classes: "logits of the classes, in the order of spec.targets.names",
    Series: "the next rows in deviations: value = output * spec.targets.scale + spec.targets.mean",
    Transcript: "log probabilities of each step (CTC): 0 is the blank, s + 1 is spec.targets.symbols[s]",
}


def export(trained: "Trained", path: str | Path | None = None, format: Format = "onnx") -> dict[str, Any]:
    """Write a trained network to a file, and beside it a JSON file that says what goes in and what comes out.

    In go the data, the valid steps of each row, and the state before the first step; out come the head's output, the
    valid steps of each row of it, and the state after the last valid step, from which the next chunk goes on. Batch
    and time have any size. What was written is run and compared with the network before it is put in its place.

    Args:
        trained: As ``load`` returns it.
        path: Of the file, ending in .onnx or .pt2; None for ``RUN/export/``, named after the checkpoint.
        format: onnx (for onnxruntime and others), or torch (for ``torch.export.load``).

    Returns:
        The content of the JSON file; ``difference`` is the largest one found, None without onnxruntime.

    Raises:
        ConfigError: A library is missing, a part of the network cannot be written in this format, or what was written
            computes something else.
    """
    if format not in SUFFIX:
        raise ConfigError(f"format {format}: choose one of {', '.join(SUFFIX)}")
    exporters.require(format)
    place = _place(trained.path, path, SUFFIX[format])
    network = copy.deepcopy(trained.network).cpu().eval().requires_grad_(False)
    content, facts = write(network, trained.spec, format)
    facts = {
        "file": str(place),
        **facts,
        "sha256": sha256(content).hexdigest(),
        "run": {"checkpoint": str(trained.path), "step": trained.facts["step"], "hash": trained.facts["hash"]},
        "spec": trained.spec.to_json(),
        "config": trained.config,
    }
    try:
        write_atomic(place, content)
        write_atomic(place.with_name(f"{place.name}.json"), json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigError(f"{place} cannot be written: {error.strerror}") from None
    return facts


@torch.no_grad()
def write(network: Network, spec: DataSpec, format: Format) -> tuple[bytes, dict[str, Any]]:
    """Return the content of the file, found to compute what the network does, and what is to be known about it.

    Args:
        network: On the CPU, in evaluation mode, its parameters frozen.
        spec: Of the data.
        format: onnx or torch.

    Raises:
        ConfigError: As ``export``.
    """
    portable = Portable(network, format).eval()
    program = exporters.capture(portable, draw(network, spec, 2, _steps(spec), 0))
    signature = _signature(program, network, spec)
    runner: Runner | None
    if format == "onnx":
        names = {side: [value["name"] for value in values] for side, values in signature.items()}
        content = exporters.to_onnx(program, names, _axes(program))
        runner = exporters.run_onnx(content) if exporters.has("onnxruntime") else None
    else:
        content = exporters.to_torch(program)
        runner = exporters.run_torch(content)
    facts = {
        "format": format,
        **signature,
        "layers": [layer.written for layer in portable.layers],
        "versions": {"seqkit": seqkit.__version__, **exporters.versions(format)},
        "difference": None if runner is None else largest_difference(runner, network, spec),
    }
    return content, facts


@torch.no_grad()
def largest_difference(run: Runner, network: Network, spec: DataSpec) -> float:
    """Return by how much a file differs from the network at most, over batches of random sizes, lengths and states.

    Raises:
        ConfigError: It does so by more than rounding, or does not run.
    """
    largest, steps = 0.0, _steps(spec)
    for seed, (batch, most) in enumerate([(3, steps + 5), (1, 1), (1, steps - 1), (4, steps // 2)], 1):
        inputs, lengths_B, *state = draw(network, spec, batch, most, seed)
        outputs, steps_B, after = network(Batch(inputs, lengths_B), tuple(state))
        try:
            found = run([inputs, lengths_B, *state])
        except Exception as error:
            raise ConfigError(f"what was exported does not run on {batch} x {most} steps: {_line(error)}") from None
        for got, due in zip(found, (outputs, steps_B, *after), strict=True):
            same = (got == due) | (got.isnan() & due.isnan())
            difference = torch.where(same, 0.0, (got - due).abs().double())
            largest = max(largest, float(difference.nan_to_num(torch.inf).max()))
    if largest > TOLERANCE:
        raise ConfigError(f"what was exported differs from the network by {largest:.2g}, so it is not written")
    return largest


@torch.no_grad()
def draw(network: Network, spec: DataSpec, batch: int, steps: int, seed: int) -> tuple[Tensor, ...]:
    """Return random inputs of random lengths up to ``steps``, the lengths, and a random state to start from."""
    source = torch.Generator().manual_seed(seed)
    kind = spec.inputs
    if isinstance(kind, Tokens):
        inputs = torch.randint(len(kind.vocabulary), (batch, steps), generator=source)
    elif isinstance(kind, Frames):
        noise = torch.randn(batch, steps, len(kind.names), generator=source)
        inputs = torch.tensor(kind.mean) + noise * torch.tensor(kind.scale)
    else:
        inputs = torch.randn(batch, steps, generator=source) / 10
        inputs[:, : steps // 3] = 0  # silence: what is added before a logarithm shows
    lengths_B = torch.randint((steps + 1) // 2, steps + 1, (batch,), generator=source)
    lengths_B[0] = steps
    _, _, state = network(Batch(inputs, lengths_B))  # a frontend may make several rows of one
    return inputs, lengths_B, *(torch.rand(part.shape, generator=source) - 0.5 for part in state)


def _steps(spec: DataSpec) -> int:
    """Return the length of an example, enough for a frontend to make several steps of it."""
    if isinstance(spec.inputs, Waveform):
        return spec.inputs.sample_rate
    lookback = spec.targets.lookback if isinstance(spec.targets, Series) else None
    return max(50, lookback or 0)


def _place(checkpoint: Path, path: str | Path | None, suffix: str) -> Path:
    if path is None:
        in_run = checkpoint.parent.name == "checkpoints"
        folder = checkpoint.parent.parent / "export" if in_run else checkpoint.parent
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be made: {error.strerror}") from None
        return folder / f"{checkpoint.stem}{suffix}"
    place = Path(path).expanduser()
    if place.suffix != suffix:
        raise ConfigError(f"{place}: a file of this format must be named *{suffix}; give --format for the other")
    existing_folder(place.parent, "a folder to write to")
    return place


def _signature(program: ExportedProgram, network: Network, spec: DataSpec) -> dict[str, list[dict[str, Any]]]:
    """Return name, type, shape and meaning of each input and output."""
    own = type(network.head).__module__.startswith("seqkit.heads.")
    gives = GIVES[type(spec.targets)] if own else f"what {type(network.head).__name__} returns"
    states = network.model.layers[0][0].cell.states
    names = {
        "inputs": {
            "inputs": READS[type(spec.inputs)],
            "lengths": "valid steps of each row of inputs",
            **{f"initial_{name}": f"{name} state before the first step" for name in states},
        },
        "outputs": {
            "outputs": gives,
            "output_lengths": "valid steps of each row of outputs, if those have steps",
            **{f"final_{name}": f"{name} state after the last valid step of each row" for name in states},
        },
    }
    nodes = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    axes = _axes(program)
    signature: dict[str, list[dict[str, Any]]] = {}
    for side, meanings in names.items():
        values = [nodes[name] for name in getattr(program.graph_signature, f"user_{side}")]
        signature[side] = [
            {
                "name": name,
                "dtype": str(value.dtype).removeprefix("torch."),
                "shape": [size if isinstance(size, int) else exporters.renamed(size, axes) for size in value.shape],
                "meaning": meaning,
            }
            for (name, meaning), value in zip(meanings.items(), values, strict=True)
        ]
    for value, part in zip(signature["inputs"][2:], network.model.initial_state(1), strict=True):
        value["start"] = part[:, 0].tolist() if part.any() else 0.0  # of a new sequence, (L*D, H) if it is learned
    return signature


def _axes(program: ExportedProgram) -> dict[str, str]:
    """Return names for the symbols in the program's shapes."""
    first = program.graph_signature.user_inputs[0]
    shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name == first)
    return {str(shape[0]): "batch", str(shape[1]): "time"}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())

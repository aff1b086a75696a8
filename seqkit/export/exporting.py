"""Export: the file and its description, written after what it computes was compared with the network."""

# B batch

import copy
import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

import seqkit
from seqkit.contracts.batch import Batch, State
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, one_line, shown
from seqkit.export import onnx
from seqkit.export import program as programs
from seqkit.export.portable import Format, Portable, extras_of
from seqkit.export.program import Runner
from seqkit.files import existing_folder, write_atomic
from seqkit.models.stack import Recurrent
from seqkit.network import Network, example_steps
from seqkit.specs import spec_to_json

SUFFIX: dict[str, str] = {"onnx": ".onnx", "torch": ".pt2"}
TOLERANCE = 1e-3  # in logits, deviations or states: far above rounding, far below anything that is wrong


class InexactExportError(ConfigError):
    """What was exported computes something else than the network."""


def export(
    network: Network,
    spec: DataSpec,
    checkpoint: Path,
    about: dict[str, Any],
    exports: Path | None = None,
    path: str | Path | None = None,
    format: Format = "onnx",
) -> dict[str, Any]:
    """Write a trained network to a file, and beside it a JSON file that says what goes in and what comes out.

    In go the data, the valid steps of each row, what the head reads beside them (columns known ahead), and the state
    before the first step; out come the head's output, the valid steps of each row of it, and the state after the last
    valid step, from which the next chunk goes on; a model that carries no state has none on either side. Batch and time
    have any size. What was written is run and compared with the network before it is put in its place.

    Args:
        network: Trained.
        spec: Of the data that it was trained on.
        checkpoint: That it was loaded from.
        about: Further content of the JSON file: the run, its config.
        exports: Folder of the run's exported files; None for that of the checkpoint.
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
    programs.require(format)
    place = _place(checkpoint, exports, path, SUFFIX[format])
    print(f"writing {shown(place)}, which can take minutes", file=sys.stderr)
    network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    content, facts = write(network, spec, format)
    facts = {
        "file": str(place),
        **facts,
        "sha256": sha256(content).hexdigest(),
        "spec": spec_to_json(spec),
        **about,
    }
    try:
        write_atomic(place, content)
        write_atomic(place.with_name(f"{place.name}.json"), json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigError(f"{place} cannot be written: {error.strerror}") from None
    return facts


@torch.no_grad()
def write(network: Network, spec: DataSpec, format: Format) -> tuple[bytes, dict[str, Any]]:
    """Return the exported bytes, verified against the network, and their metadata.

    Args:
        network: On the CPU, in evaluation mode, its parameters frozen.
        spec: Of the data.
        format: onnx or torch.

    Raises:
        ConfigError: As ``export``.
    """
    portable = Portable(network, format).eval()
    program = programs.capture(portable, draw(network, spec, 2, example_steps(spec), 0), len(portable.extras))
    signature = _signature(program, network, spec)
    runner: Runner | None
    if format == "onnx":
        names = {side: [value["name"] for value in values] for side, values in signature.items()}
        content = onnx.to_onnx(program, names, _axes(program))
        runner = onnx.run_onnx(content) if programs.has("onnxruntime") else None
    else:
        content = programs.to_torch(program)
        runner = programs.run_torch(content)
    facts = {
        "format": format,
        **signature,
        "layers": portable.written,
        "versions": {"seqkit": seqkit.__version__, **programs.versions(format)},
        "difference": None if runner is None else largest_difference(runner, network, spec),
    }
    return content, facts


@torch.no_grad()
def largest_difference(run: Runner, network: Network, spec: DataSpec) -> float:
    """Return by how much a file differs from the network at most, over batches of random sizes, lengths and states.

    Raises:
        InexactExportError: It does so by more than rounding.
        ConfigError: It does not run.
    """
    largest, steps, names = 0.0, example_steps(spec), extras_of(network)
    for seed, (batch, most) in enumerate([(3, steps + 5), (1, 1), (1, steps - 1), (4, steps // 2)], 1):
        inputs, lengths_B, *others = draw(network, spec, batch, most, seed)
        extras, state = others[: len(names)], tuple(others[len(names) :])
        given = Batch(inputs, lengths_B, extras=dict(zip(names, extras, strict=True)))
        # Of new sequences the network starts by itself, the file from what its description says.
        outputs, steps_B, after = network(given, None if seed == 1 else state)
        if seed == 1:
            state = _start(network.model, after)
        try:
            found = run([inputs, lengths_B, *extras, *state])
        except Exception as error:
            raise ConfigError(f"what was exported does not run on {batch} x {most} steps: {one_line(error)}") from None
        for got, due in zip(found, (outputs, steps_B, *after), strict=True):
            same = (got == due) | (got.isnan() & due.isnan())
            difference = torch.where(same, 0.0, (got.double() - due.double()).abs())
            largest = max(largest, float(difference.nan_to_num(torch.inf).max()))
    if largest > TOLERANCE:
        raise InexactExportError(f"what was exported differs from the network by {largest:.2g}, so it is not written")
    return largest


@torch.no_grad()
def draw(network: Network, spec: DataSpec, rows: int, steps: int, seed: int) -> tuple[Tensor, ...]:
    """Return random inputs of random lengths up to ``steps``, the lengths, extras, and a state a sequence can leave."""
    source = torch.Generator().manual_seed(seed)
    inputs = spec.inputs.example(rows, steps, source)
    lengths_B = torch.randint((steps + 1) // 2, steps + 1, (rows,), generator=source)
    lengths_B[0] = steps
    extras = network.head.draw_extras(rows, source) if extras_of(network) else {}
    _, _, state = network(Batch(inputs, lengths_B, extras=extras))
    return inputs, lengths_B, *(extras[name] for name in extras_of(network)), *state


def _place(checkpoint: Path, exports: Path | None, path: str | Path | None, suffix: str) -> Path:
    if path is None:
        folder = exports or checkpoint.parent
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
    gives = getattr(network.head, "meaning", f"outputs of {type(network.head).__name__}")
    extras = extras_of(network)
    before = 2 + len(extras)
    states = _state_names(network.model, len(program.graph_signature.user_inputs) - before)
    names = {
        "inputs": {
            "inputs": spec.inputs.meaning,
            "lengths": "valid steps of each row of inputs",
            **extras,
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
                "shape": [size if isinstance(size, int) else programs.renamed(size, axes) for size in value.shape],
                "meaning": meaning,
            }
            for (name, meaning), value in zip(meanings.items(), values, strict=True)
        ]
    if states:
        after = tuple(draw(network, spec, 1, example_steps(spec), 0)[before:])
        for value, part in zip(signature["inputs"][before:], _start(network.model, after), strict=True):
            value["start"] = part[:, 0].tolist() if part.any() else 0.0  # of a new sequence, without its batch axis
    return signature


def _start(model: Any, state: State) -> State:
    """Return the state of new sequences, as many as ``state`` is of."""
    if state and hasattr(model, "initial_state"):
        return model.initial_state(state[0].shape[1])
    return tuple(torch.zeros_like(part) for part in state)


def _state_names(model: Any, count: int) -> tuple[str, ...]:
    """Return a name for each tensor of a model's state: its ``states``, or those of the cell of a recurrent stack."""
    first = model.layers[0][0].cell if isinstance(model, Recurrent) else model  # type: ignore[index]
    names = getattr(first, "states", ())
    return tuple(names) if len(names) == count else tuple(f"state{number}" for number in range(count))


def _axes(program: ExportedProgram) -> dict[str, str]:
    """Return names for the symbols in the program's shapes."""
    first = program.graph_signature.user_inputs[0]
    shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name == first)
    return {str(shape[0]): "batch", str(shape[1]): "time"}

"""An exported program as an ONNX file, and such a file run again."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from seqkit.errors import ConfigError
from seqkit.export.program import OPSET, Runner, place_in_trace, quiet, renamed, root_cause
from seqkit.export.translations import translations

LIMIT = 2**31  # bytes of an ONNX file


def to_onnx(program: ExportedProgram, names: Mapping[str, Sequence[str]], axes: Mapping[str, str]) -> bytes:
    """Return the content of an ONNX file.

    Args:
        program: May hold operators of ONNX made with ``torch.onnx.ops.symbolic_multi_out``.
        names: Of the ``inputs`` and ``outputs``.
        axes: A name for each symbol in the shapes.

    Raises:
        ConfigError: An operation has no equivalent in ONNX, or the file would be too large.
    """
    import onnx_ir

    size = sum(value.numel() * value.element_size() for value in program.state_dict.values())
    if size > LIMIT:
        raise ConfigError(f"export to onnx: {size:,} bytes of weights, an ONNX file holds {LIMIT:,}; use format torch")
    with quiet():
        try:
            exported = torch.onnx.export(
                program,
                input_names=list(names["inputs"]),
                output_names=list(names["outputs"]),
                opset_version=OPSET,
                custom_translation_table=translations(),
                optimize=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise ConfigError(f"export to onnx: {root_cause(error)}{_line(program, error)}") from None
        assert exported is not None
        model = _tidy(exported.model)
    values = (value for node in model.graph.all_nodes() for value in node.outputs)
    for value in (*model.graph.inputs, *model.graph.outputs, *values):
        if value.shape is not None:
            sizes = (size if isinstance(size, int) else renamed(size.value, axes) for size in value.shape)
            value.shape = onnx_ir.Shape(list(sizes))
    return onnx_ir.to_proto(model).SerializeToString()


def run_onnx(content: bytes) -> Runner:
    """Return a function that runs the content of an ONNX file in onnxruntime, on a CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are raised as well
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(arguments: Sequence[Tensor]) -> list[Tensor]:
        values = {name: value.numpy() for name, value in zip(names, arguments, strict=True)}
        return [torch.from_numpy(value) for value in session.run(None, values)]

    return run


def _line(program: ExportedProgram, error: Exception) -> str:
    """Return the line of the author's code whose operation could not be translated, where that can be told."""
    node = re.search(r"Error when translating node %(\w+)", str(error))
    traces = [each.meta.get("stack_trace") for each in program.graph.nodes if node and each.name == node[1]]
    return place_in_trace(traces[0] or "") if traces else ""


def _tidy(model: Any) -> Any:
    """Inline functions, fold constants, drop what is not used.

    torch's own ``optimize=True`` also takes an added 1e-8 for 0, and so the floor from under a logarithm.
    """
    import onnx_ir
    from onnx_ir.passes import common
    from onnxscript import optimizer

    common.InlinePass()(model)
    optimizer.fold_constants(model)
    steps = (
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedFunctionsPass(),
        common.RemoveUnusedOpsetsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.LiftSubgraphInitializersToMainGraphPass(),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.ClearMetadataAndDocStringPass(),  # stack traces, with the paths of this machine
        common.OutputFixPass(),
        common.NameFixPass(),
    )
    return onnx_ir.passes.Sequential(*steps)(model).model

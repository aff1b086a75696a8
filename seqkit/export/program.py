"""A module captured by torch.export, as a .pt2 file, and such a file run again."""

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule
from torch.torch_version import TorchVersion

from seqkit.errors import ConfigError

TORCH = "2.13"  # the oldest that this was tried with; it leans on parts of torch.export that still move
OPSET = 20

Runner = Callable[[Sequence[Tensor]], list[Tensor]]
"""Maps the inputs of a file to its outputs."""


def has(library: str) -> bool:
    """Whether a library is installed."""
    return find_spec(library) is not None


def require(format: str) -> None:
    """Refuse to go on without the libraries that write this format.

    Raises:
        ConfigError: One is missing or too old.
    """
    if TorchVersion(torch.__version__) < TORCH:
        raise ConfigError(f"export needs torch {TORCH} or newer, this is {torch.__version__}")
    missing = [name for name in ("onnx", "onnxscript") if not has(name)]
    if format == "onnx" and missing:
        raise ConfigError(f"export to onnx needs {' and '.join(missing)}: pip install 'seqkit[onnx]'")


def versions(format: str) -> dict[str, Any]:
    """Return the versions of the libraries that write and read a file."""
    libraries = ("torch", "onnx", "onnxscript", "onnxruntime") if format == "onnx" else ("torch",)
    found: dict[str, Any] = {name: metadata.version(name) for name in libraries if has(name)}
    return {**found, "opset": OPSET} if format == "onnx" else found


def capture(module: nn.Module, arguments: Sequence[Tensor], extras: int = 0) -> ExportedProgram:
    """Capture ``module`` as a graph for any batch and time.

    Args:
        module: In evaluation mode; called with inputs (B, T, ...), lengths (B,), any number of extras (B, ...) and of
            states (L, B, ...).
        arguments: An example of these.
        extras: How many extras there are.

    Raises:
        ConfigError: torch.export cannot follow it.
    """
    from torch.fx.experimental import _config

    # So that dynamo, which skips torch.onnx, leaves the operators of ONNX to the tracing that comes after it.
    torch.compiler.allow_in_graph(torch.onnx.ops.symbolic_multi_out)
    shapes: tuple[Any, ...] = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC})
    if len(arguments) > 2:
        shapes = (*shapes, tuple({int(number >= extras): Dim.DYNAMIC} for number in range(len(arguments) - 2)))
    # Sizes count as unknown rather than as two or more, or programs would refuse a batch of one.
    with quiet(), _fixed_sizes() as fixed, _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        try:
            program = torch.export.export(module, tuple(arguments), dynamic_shapes=shapes, strict=True)
        except Exception as error:
            raise ConfigError(f"torch.export cannot follow this model: {_where(error, fixed)}") from None
    # Some operations set a size of one apart for how its memory lies, and so the program would refuse it. It computes
    # the same; ``largest_difference`` tries that size.
    alone = re.compile(r"L\['flat_args'\]\[\d+\]\.size\(\)\[[01]\] != 1")
    program._guards_code = [code for code in program._guards_code if not alone.fullmatch(code)]
    return program


def to_torch(program: ExportedProgram) -> bytes:
    """Return the content of a .pt2 file."""
    for module in program.graph_module.modules():
        if isinstance(module, GraphModule) and module is not program.graph_module:
            for node in module.graph.nodes:  # a size taken inside a scan holds classes here, which cannot be written
                node.meta.pop("nn_module_stack", None)
    file = io.BytesIO()
    with quiet():
        torch.export.save(program, file)
    return file.getvalue()


def run_torch(content: bytes) -> Runner:
    """Return a function that runs the content of a .pt2 file."""
    with quiet():
        module = torch.export.load(io.BytesIO(content)).module()
    return lambda arguments: list(module(*arguments))


def renamed(size: object, axes: Mapping[str, str]) -> str | None:
    """Return an expression of sizes with its symbols renamed; None stays."""
    return None if size is None else re.sub(r"\w+", lambda match: axes.get(match[0], match[0]), str(size))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's exporters from telling how they work."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch._guards", "torch._export", "torch._dynamo")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        # dynamo prints what it has when it gives up
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def root_cause(error: BaseException) -> str:
    """Return the root cause of an error in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).partition("\n\n")[0].split())


@contextmanager
def _fixed_sizes() -> Iterator[dict[str, str]]:
    """Yield the lines of code that fix a size, by that size; torch.export's error does not name them, its log does."""
    lines: dict[str, str] = {}

    def note(record: logging.LogRecord) -> bool:
        said = re.search(r"eval Eq\(\w+, (\d+)\) \[guard added\] (.+?)  # \S*?([^\s/]+:\d+) in ", record.getMessage())
        if said:
            lines.setdefault(said[1], f"'{said[2]}' ({said[3]})")
        return False  # nothing of it is shown

    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level, disabled = logger.level, logger.disabled  # logging.config may have disabled it
    logger.addFilter(note)
    logger.setLevel(logging.INFO)
    logger.disabled = False
    try:
        yield lines
    finally:
        logger.removeFilter(note)
        logger.setLevel(level)
        logger.disabled = disabled


def _where(error: BaseException, fixed_sizes: Mapping[str, str]) -> str:
    """Return in one line what torch.export could not follow and, where it says so, in which line of whose code."""
    text = str(error)
    fixed = re.search(r"size\(\)\[(\d)\] as dynamic but your code specialized it to be a constant \((\d+)\)", text)
    if fixed:
        axis = "rows" if fixed[1] == "0" else "steps"
        line = fixed_sizes.get(fixed[2])
        return f"a part of it takes {fixed[2]} {axis} and no other number" + (f": {line}" if line else "")
    if "aliasing detected" in text:
        reason = "a parameter is taken apart by iterating over it; use parameter.unbind(0)"
    else:
        reason = root_cause(error)
    return reason + place_in_trace(text.partition("from user code:")[2])


def place_in_trace(trace: str) -> str:
    """Return `` (FILE:LINE)`` of the innermost place in a stack trace that is not in a library, or an empty string."""
    places = re.findall(r'File "([^"]+)", line (\d+), in \w+', trace)
    places = [place for place in places if "site-packages" not in place[0]]
    return f" ({places[-1][0]}:{places[-1][1]})" if places else ""

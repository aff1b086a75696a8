"""The recurrent stack: layers, directions, padding, carried state and dropout, once for every cell."""

# B batch, T time, I input, H hidden, D directions (1 or 2), O = D*H output, L layers
# G all gates of the cell together (their number times H)

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import PositiveInt
from torch import Tensor, nn

from seqkit import schema
from seqkit.contracts import State
from seqkit.errors import ConfigError, PluginError
from seqkit.models.cell import Direction, has_no_init, loops_of
from seqkit.models.kernels import library
from seqkit.models.kernels.lengths import reverse
from seqkit.models.kernels.stepwise import stepwise
from seqkit.registry import register_model

CellT = TypeVar("CellT", bound=nn.Module)


class LayerLoop(NamedTuple):
    """Which loop runs a layer (counted from 0), and why it and not another."""

    layer: int
    name: str
    why: str


class Recurrent(nn.Module):
    """Recurrent layers over a padded batch of sequences.

    Args:
        cell: Class of the cell, or a function that makes one from the hidden size.
        input_size: Features of each step of the input.
        hidden_size: Size of the hidden state of each layer and direction.
        num_layers: Layers on top of each other.
        bidirectional: Also run over each sequence from its end, and join both outputs; no longer causal.
        dropout: Probability that a feature between two layers is zeroed in a training step.
        loop: How the steps run: kernel (torch's own), fused (hand-written gradient), loop (the plain equations); auto
            takes the fastest that the cell has.

    Attributes:
        output_size: Features of each step of the output.
        causal: Whether an output depends on its own and earlier steps only.

    Raises:
        ConfigError: The cell has no such loop.
    """

    def __init__(
        self,
        cell: Callable[..., nn.Module],
        input_size: int,
        *,
        hidden_size: PositiveInt = 256,
        num_layers: PositiveInt = 1,
        bidirectional: bool = False,
        dropout: schema.Probability = 0.0,
        loop: Literal["auto", "kernel", "fused", "loop"] = "auto",
    ) -> None:
        super().__init__()
        self.directions = 2 if bidirectional else 1
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.output_size = self.directions * hidden_size
        self.causal = not bidirectional
        self.dropout = dropout
        self.layers = nn.ModuleList(
            nn.ModuleList(Direction(cell, size, hidden_size) for _ in range(self.directions))
            for size in [input_size] + [self.output_size] * (num_layers - 1)
        )
        self.loop = loop
        first = self._first().cell
        if loop != "auto" and loop not in loops_of(first):
            raise ConfigError(f"model.loop={loop}: {type(first).__name__} has only {', '.join(loops_of(first))}")

    def loops(self, padded: bool = False) -> list[LayerLoop]:
        """Return which loop runs each layer where the parameters are, and why.

        Args:
            padded: For a batch of sequences of different lengths.
        """
        return [LayerLoop(number, *self._choose(layer, padded)) for number, layer in enumerate(self.layers)]

    def forward(
        self, x_BTI: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over a batch of sequences.

        Args:
            x_BTI: Input; what stands in the padding does not matter.
            lengths_B: Valid steps of each row, None where all are.
            state: One (L*D, B, H) a state name of the cell, in the order of torch.nn: layer by layer, forward before
                backward. None starts from zero.

        Returns:
            y_BTO, the hidden state of the last layer, zero at padded steps; and the state after each row's last valid
            step (for the backward direction: its first step), in the same order.

        Raises:
            ValueError: A shape does not fit the model.
        """
        state = self._start(x_BTI, state)
        x_TBI = x_BTI.transpose(0, 1)
        padding_TB1 = None
        if lengths_B is not None:
            steps_T1 = torch.arange(len(x_TBI), device=x_BTI.device)[:, None]
            padding_TB1 = (steps_T1 >= lengths_B)[:, :, None]
            x_TBI = x_TBI.masked_fill(padding_TB1, 0)  # it might hold NaN, which no later mask gets out of a gradient

        after = []
        for number, layer in enumerate(self.layers):
            if number > 0:
                x_TBI = F.dropout(x_TBI, self.dropout, self.training)
            rows = slice(number * self.directions, (number + 1) * self.directions)
            x_TBI, new = self._run(layer, x_TBI, lengths_B, padding_TB1, tuple(part[rows] for part in state))
            after.append(new)
        return x_TBI.transpose(0, 1), tuple(torch.cat(parts) for parts in zip(*after, strict=True))

    def _first(self) -> Direction:
        return self.layers[0][0]  # type: ignore[index, return-value]

    def _start(self, x_BTI: Tensor, state: State | None) -> State:
        if x_BTI.dim() != 3 or x_BTI.shape[1] == 0 or x_BTI.shape[2] != self.input_size:
            raise ValueError(f"input is {tuple(x_BTI.shape)}, not (batch, 1 step or more, {self.input_size} features)")
        first = self._first()
        names = first.cell.states
        shape = (len(self.layers) * self.directions, len(x_BTI), self.hidden_size)
        if state is None:
            return tuple(first.weight_hh.new_zeros(shape) for _ in names)
        if [part.shape for part in state] != [shape] * len(names):
            given = ", ".join(str(tuple(part.shape)) for part in state)
            raise ValueError(f"state is {given}; {' and '.join(names)} must be {shape}" + " each" * (len(names) > 1))
        return tuple(part.to(first.weight_hh.dtype) for part in state)  # autocast may have left it in half precision

    def _choose(self, layer: Any, padded: bool) -> tuple[str, str]:
        """Return the loop to run a layer by, and why."""
        cell, cpu = layer[0].cell, layer[0].weight_hh.device.type == "cpu"
        name, has = type(cell).__name__, loops_of(cell)
        if self.loop != "auto":
            return self.loop, f"asked for by model.loop={self.loop}"
        if "kernel" in has and "fused" in has and cpu and padded:
            return "fused", f"on a CPU torch's kernel for {name} is slow when lengths differ"
        if "kernel" in has:
            return "kernel", f"torch's own kernels compute {name} exactly"
        if "fused" in has:
            return "fused", f"torch has no kernel for {name}; this one has its gradient written by hand"
        return "loop", f"{name} states its step and no faster loop"

    def _run(
        self, layer: Any, x_TBI: Tensor, lengths_B: Tensor | None, padding_TB1: Tensor | None, state: State
    ) -> tuple[Tensor, State]:
        """Run one layer; ``state`` is one (D, B, H) a name."""
        loop, _ = self._choose(layer, lengths_B is not None)
        if loop == "kernel":
            kernel, weights = layer[0].cell.kernel, tuple(weight for one in layer for weight in one.weights)
            if lengths_B is None:
                return library.whole(kernel, x_TBI, weights, state)
            if x_TBI.is_cuda or len(state) > 1:
                return library.packed(kernel, x_TBI, lengths_B, weights, state)
        outputs, after = [], []
        for number, direction in enumerate(layer):
            cell, backward = direction.cell, number == 1
            if loop == "kernel":
                run = partial(library.padded, cell.kernel)
            else:
                run = cell.fused if loop == "fused" else partial(stepwise, cell.step, cell.gates)
            x = reverse(x_TBI, lengths_B) if backward else x_TBI
            y_TBH, new = run(x, lengths_B, direction.weights, tuple(part[number] for part in state))
            outputs.append(reverse(y_TBH, lengths_B) if backward else y_TBH)
            after.append(new)
        y_TBO = torch.cat(outputs, dim=2) if len(outputs) > 1 else outputs[0]
        if padding_TB1 is not None:
            y_TBO = y_TBO.masked_fill(padding_TB1, 0)
        return y_TBO, tuple(torch.stack(parts) for parts in zip(*after, strict=True))


def register_cell(name: str) -> Callable[[type[CellT]], type[CellT]]:
    """Register a cell class as ``model=name``, with the options of the stack and then its own.

    Raises:
        PluginError: The class breaks the contract of ``Cell``, or an option of its own is one of the stack's.
    """

    def decorate(cell: type[CellT]) -> type[CellT]:
        register_model(name)(_model(cell))
        return cell

    return decorate


def _model(cell: type[nn.Module]) -> Callable[..., Recurrent]:
    """Return the function (input_size, *, the stack's options, the cell's options) -> Recurrent."""
    where = f"{cell.__module__}.{cell.__qualname__}"
    for needed in ("gates", "states"):
        if not isinstance(getattr(cell, needed, None), tuple):
            raise PluginError(f"{where}: a cell needs '{needed}', a tuple of names")
    if not callable(getattr(cell, "step", None)):
        raise PluginError(f"{where}: a cell needs a method 'step'")
    own = () if has_no_init(cell) else schema.options(cell)  # type: ignore[arg-type]
    if not has_no_init(cell) and len(schema.signature(cell).parameters) != len(own) + 1:
        raise PluginError(f"{where}: __init__ takes the hidden size and then options: (self, hidden_size, *, ...)")
    stack = schema.options(Recurrent)
    for option in own:
        if option.name in {other.name for other in stack}:
            raise PluginError(f"{where}: option '{option.name}' is one of the stack's; call it something else")

    def model(input_size, **options):
        its_own = {option.name: options.pop(option.name) for option in own if option.name in options}
        return Recurrent(partial(cell, **its_own) if its_own else cell, input_size, **options)

    size = inspect.Parameter("input_size", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=int)
    columns = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type)
        for option in (*stack, *own)
    ]
    model.__signature__ = inspect.Signature([size, *columns], return_annotation=Recurrent)  # type: ignore[attr-defined]
    model.__annotations__ = {parameter.name: parameter.annotation for parameter in (size, *columns)}
    model.__module__, model.__name__, model.__qualname__ = cell.__module__, cell.__name__, cell.__qualname__
    head, its_arguments = _split_doc(cell)
    arguments = {**_split_doc(Recurrent)[1], **its_arguments}
    told = [f"    {name}: {arguments[name]}" for name in model.__annotations__ if name in arguments]
    model.__doc__ = "\n".join([head, "", "Args:", *told])
    return model


def _split_doc(component: type) -> tuple[str, dict[str, str]]:
    """Return a class docstring without its Args section, and the text of each argument in that."""
    head, _, rest = inspect.cleandoc(component.__doc__ or "").partition("\n\nArgs:\n")
    section, _, tail = rest.partition("\n\n")
    arguments: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line.startswith(" " * 8):
            arguments[name] += "\n" + line
        elif line:
            name, _, text = line.strip().partition(": ")
            arguments[name] = text
    return f"{head}\n\n{tail}".strip(), arguments

"""Every gate and state of a recurrent stack, at every step, by name."""

# B batch, T time, H hidden, G all gates of a cell together (their number times H)

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from seqkit.contracts.batch import State
from seqkit.errors import ConfigError, unknown
from seqkit.models.direction import Direction
from seqkit.models.layout import layout_of
from seqkit.models.projections import GateNames
from seqkit.models.stack import Recurrent
from seqkit.padding import beside, reverse, valid

# By torch's names: activations; and operations that mix elements (matmuls).
ACTIVATIONS = {
    "sigmoid", "special_expit", "hardsigmoid", "log_sigmoid", "softmax", "tanh", "hardtanh", "softsign", "sin", "cos",
    "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "hardswish", "softplus", "exp",
}  # fmt: skip
PRODUCTS = {"matmul", "mm", "bmm", "linear", "addmm", "baddbmm", "einsum"}


class Gates(Mapping[str, Tensor]):
    """Recorded gates and states by name; calls of the model follow each other along T, as in a stream."""

    def __init__(self) -> None:
        self._calls: dict[str, list[Tensor]] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._calls:
            raise KeyError(str(unknown("gate or state", name, self._calls)))
        rows = {len(part) for part in self._calls[name]}
        if len(rows) > 1:
            raise ConfigError(
                f"'{name}' was recorded in batches of {' and '.join(map(str, sorted(rows)))} sequences, which do not "
                "follow each other; record each call by itself"
            )
        return torch.cat(self._calls[name], 1)

    def __iter__(self) -> Iterator[str]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def __repr__(self) -> str:
        return "\n".join(f"{name} {tuple(self[name].shape)}" for name in self) or "nothing was recorded"

    def add(self, name: str, values_TBH: Tensor, lengths_B: Tensor | None) -> None:
        """Append the values of one call, zero at padded steps."""
        values_BTH = values_TBH.detach().transpose(0, 1)
        padding = beside(~valid(lengths_B, values_BTH), values_BTH)
        self._calls.setdefault(name, []).append(values_BTH.masked_fill(padding, 0))


@contextmanager
def record_gates(model: nn.Module) -> Iterator[Gates]:
    """Record every gate and state of every step of the forward calls inside.

    For example::

        with record_gates(model) as gates:
            model(x_BTI)
        gates["layer0.forward.gate.forget"]  # (B, T, H)

    The names are ``layerN.forward`` or ``layerN.backward``, then ``gate.`` or ``state.`` and what the cell calls it;
    with several stacks in the model, the name of the stack before that. Steps are in the order of the input, also those
    of a backward direction; padded ones are zero. A state is that after its step and after zoneout. A gate is its
    activated value, as the cell's ``activations`` states it, which its step calls. Of a cell without that it is the
    result of the first of ``ACTIVATIONS`` in the step on W x + b or U h + c of this gate, with all that was added to
    them or multiplied with them. A gate that has no such value is left out.

    The reference backend runs meanwhile, slowly; results differ from those of the others by rounding only.

    Args:
        model: A stack, or a module that holds some, as a network does.

    Raises:
        ConfigError: It holds none.
    """
    modules = model.named_modules() if isinstance(model, nn.Module) else ()
    stacks = {name: module for name, module in modules if isinstance(module, Recurrent)}
    if not stacks:
        raise ConfigError(
            f"record_gates: {type(model).__name__} holds no recurrent stack, which register_cell makes, so no gates"
        )
    gates = Gates()
    before = [stack.recorder for stack in stacks.values()]
    try:
        for name, stack in stacks.items():
            stack.recorder = Recorder(gates, stack, f"{name}." if len(stacks) > 1 else "")
        yield gates
    finally:
        for stack, recorder in zip(stacks.values(), before, strict=True):
            stack.recorder = recorder


class Recorder:
    """The callbacks of a stack while it is recorded."""

    def __init__(self, gates: Gates, stack: Recurrent, prefix: str) -> None:
        self._gates = gates
        self._names: dict[nn.Module, str] = {
            direction: f"{prefix}layer{number}.{way}"
            for number, layer in enumerate(stack.layers)
            for direction, way in zip(layer, ("forward", "backward"), strict=False)  # type: ignore[call-overload]
        }
        self._steps: list[dict[str, Tensor]] = []

    def watched(self, cell: Any) -> "Watched":
        """Return the cell to run one direction of a layer by."""
        self._steps = []
        return Watched(cell, self._steps)

    def keep(self, direction: Direction, states: tuple[Tensor, ...], lengths_B: Tensor | None) -> None:
        """Take the states of a direction that has just run, each (T, B, H) in the order of its steps."""
        name = self._names[direction]
        cell = direction.cell
        recorded = [gate for gate in cell.gates if all(gate in step for step in self._steps)]
        values = {f"{name}.gate.{gate}": torch.stack([step[gate] for step in self._steps]) for gate in recorded}
        values |= {f"{name}.state.{state}": part for state, part in zip(cell.states, states, strict=True)}
        for key, value_TBH in values.items():
            turned = reverse(value_TBH, lengths_B) if name.endswith("backward") else value_TBH
            self._gates.add(key, turned, lengths_B)


class Watched:
    """A cell, for the reference backend, that notes its gates at each step.

    Args:
        cell: With its own ``step``.
        steps: Receives the gates of each step by name, each (B, H).
    """

    def __init__(self, cell: Any, steps: list[dict[str, Tensor]]) -> None:
        self.cell = cell
        self.states = cell.states
        self.steps = steps

    def step(self, *arguments: Any) -> State:
        if not hasattr(self.cell, "activations"):
            new, gates = self._traced_step(*arguments)
            self.steps.append(gates)
            return new
        stated, noted = self.cell.activations, {}

        def activations(*arguments: Any) -> dict[str, Tensor]:
            values = stated(*arguments)
            for gate in values:
                if gate not in self.cell.gates:
                    raise unknown(f"gate of {type(self.cell).__name__}", gate, self.cell.gates)
            noted.update({gate: value.detach() for gate, value in values.items()})
            return values

        self.cell.activations = activations  # for this step, in front of the class's
        try:
            new, traced = self._traced_step(*arguments)
        finally:
            del self.cell.activations
        self.steps.append(noted or traced)  # a subclass's step may not call what its base states
        return new

    def _traced_step(self, x: Tensor, *others: Any) -> tuple[State, dict[str, Tensor]]:
        *products, state = others
        layout, size = layout_of(self.cell), state[0].shape[1]
        follow = _Follow(layout.gates, (len(x), size))

        def bits(names: tuple[str, ...]) -> Tensor:
            numbers = torch.tensor([layout.gates.index(name) for name in names], device=x.device)
            return (1 << numbers).repeat_interleave(size)

        def followed(product: Callable[..., Tensor], every: tuple[str, ...]) -> Callable[..., Tensor]:
            def follow_product(z_BH: Tensor, gate: GateNames = None, /) -> Tensor:
                half = product(z_BH, gate)
                follow.mark(half, bits(every if gate is None else (gate,) if isinstance(gate, str) else gate))
                return half

            return follow_product

        owners = (layout.gates, layout.recurrent) if layout.wants_input else (layout.recurrent,)
        x = x.clone()  # a storage of its own
        if not layout.wants_input:
            follow.mark(x, bits(layout.gates))
        with follow:
            new = self.cell.step(x, *map(followed, products, owners), state)
        return new, follow.found


class _Follow(TorchFunctionMode):
    """Follow, over one step of a cell, which gates' projections every element of every tensor was computed from.

    That is a set of gates, as an integer with a bit for each, kept for each element of a storage, which all views of it
    share. An operation's result has the union of the sets at its place in the arguments, an activation's has none.
    """

    def __init__(self, gates: tuple[str, ...], shape: tuple[int, int]) -> None:
        super().__init__()
        self.gates = gates
        self.shape = shape
        self.found: dict[str, Tensor] = {}
        self._sets: dict[int, tuple[Tensor, Tensor]] = {}  # by address: a tensor that keeps the storage alive, its sets

    def mark(self, tensor: Tensor, sets: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._sets:
            size = storage.nbytes() // tensor.element_size()
            self._sets[storage.data_ptr()] = tensor, sets.new_zeros(size)
        _like(tensor, self._sets[storage.data_ptr()][1]).copy_(sets)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        tensors = [arg for arg in tree_leaves((args, kwargs)) if isinstance(arg, Tensor)]
        held = {tensor.untyped_storage().data_ptr() for tensor in tensors} & self._sets.keys()
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        in_place = name.endswith("_") and not name.endswith("__")
        if not held or not isinstance(out, Tensor) or (out.untyped_storage().data_ptr() in held and not in_place):
            return out  # of no gate, or a view, or several
        sets = self._union(tensors, out)
        if name.rstrip("_") in ACTIVATIONS:
            for number, gate in enumerate(self.gates):
                mine = sets == 1 << number
                if gate not in self.found and mine.sum() == self.shape[0] * self.shape[1]:
                    self.found[gate] = out.detach()[mine].view(self.shape)
        if name.rstrip("_") in ACTIVATIONS | PRODUCTS:
            sets.zero_()
        if in_place or sets.any():
            self.mark(out, sets)
        return out

    def _union(self, tensors: list[Tensor], out: Tensor) -> Tensor:
        sets = torch.zeros(out.shape, dtype=torch.int64, device=out.device)
        for tensor in tensors:
            held, flat = self._sets.get(tensor.untyped_storage().data_ptr(), (tensor, None))
            if flat is not None and held.dtype == tensor.dtype and _fits(tensor, out):
                sets = sets | _like(tensor, flat)
        return sets


def _like(tensor: Tensor, flat: Tensor) -> Tensor:
    """Return the view of ``flat`` that ``tensor`` is of its storage."""
    return flat.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


def _fits(tensor: Tensor, out: Tensor) -> bool:
    """Whether ``tensor`` broadcasts to ``out.shape``."""
    shapes = zip(tensor.shape[::-1], out.shape[::-1], strict=False)
    return tensor.dim() <= out.dim() and all(size in (1, whole) for size, whole in shapes)

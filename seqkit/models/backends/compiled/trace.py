"""Trace of a cell's step and of its gradient: a list of torch's own operations between the products with U."""

# B batch, H hidden, N some gates (their number times H)

import enum
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.stateless import _reparametrize_module
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

from seqkit.errors import SeqkitError
from seqkit.faults import brief
from seqkit.models.backends.reference import StepError
from seqkit.models.cell import left_unchanged
from seqkit.models.layout import layout_of, shapes_of
from seqkit.models.projections import GateNames
from seqkit.models.regularisation import apply_zoneout

aten = torch.ops.aten
OWN = "cell."  # before the names of a cell's own parameters and buffers
PLAIN = int, float, complex, str, bytes, type(None), torch.dtype, torch.device, enum.Enum


class NotTracedError(StepError):
    """A reason why the compiled backend cannot run a step, in words that follow the name of the step."""


@dataclass(eq=False, repr=False)
class Node:
    """An input of the trace or the result of an operation.

    Attributes:
        name: Of an input; empty for a result.
        shape: With the rows of the trace as B.
        op: Operation, None for an input.
        args: Its arguments; other nodes where there were tensors.
        kwargs: Likewise.
        inputs: Names of all inputs that it depends on.
    """

    name: str
    shape: tuple[int, ...]
    boolean: bool
    op: Any = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    inputs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Options:
    """Options of the stack that change the trace.

    Attributes:
        hidden_size: H.
        layer_norm: Whether the products are normalised.
        masked: Whether their arguments are masked (variational dropout).
        zoneout: Of each state: True for a mask per step, a share, or None.
        dtype: Of everything but masks.
    """

    hidden_size: int
    layer_norm: bool
    masked: bool
    zoneout: tuple[bool | float | None, ...]
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Trace:
    """A step and its gradient.

    The inputs are ``x``, ``state0``.., ``zoneout0``.. (masks), ``mask`` (of the products' arguments), ``u0``.. (the
    products, normalised under layer normalisation), and for the gradient ``d_state0``.. (of the new states) and
    ``d_z0``.. (of the products' arguments). All others, the parameters, are the same at every step: ``bias0``..,
    ``gain0``.., ``weight0``.. (of a diagonal U), and the cell's own as ``cell.NAME``.

    Attributes:
        rows: B of the trace.
        hidden_size: H.
        gates: Names of the gates of each product.
        new: New states.
        z: Argument of each product with a matrix.
        d_u: Gradient of each product; None where it has no part in the output.
        d_x: Gradient of x.
        d_old: Gradient of each state before the step; None where it has no part.
        d_parameters: Gradient of each parameter, by name.
        shapes: Of all inputs.
        normalised: Whether the products are.
    """

    rows: int
    hidden_size: int
    gates: tuple[GateNames, ...]
    new: tuple[Node, ...]
    z: tuple[Node, ...]
    d_u: tuple[Node | None, ...]
    d_x: Node | None
    d_old: tuple[Node | None, ...]
    d_parameters: dict[str, Node | None]
    shapes: dict[str, tuple[int, ...]]
    normalised: bool

    @cached_property
    def per_step(self) -> frozenset[str]:
        """Names of the inputs that are no parameters."""
        states, products = range(len(self.new)), range(len(self.z))
        of_states = (f"{name}{n}" for name in ("state", "zoneout", "d_state") for n in states)
        return frozenset({"x", "mask", *of_states, *(f"{name}{n}" for name in ("u", "d_z") for n in products)})


def trace_step(cell: Any, options: Options, rows: int) -> Trace:
    """Trace a cell's step on some values, which nothing may depend on but the results.

    Args:
        cell: Its ``step``.
        options: Of the stack.
        rows: B to trace with; differs from every other size.

    Raises:
        NotTracedError: The step depends on values, keeps something, or does something else than compute.
    """
    with left_unchanged(cell):
        try:
            before = about(cell)
            with torch.enable_grad(), torch.random.fork_rng(devices=[]):
                found = _trace(cell, options, rows)
        except (NotTracedError, SeqkitError) as error:
            raise NotTracedError(str(error)) from error
        except Exception as error:
            raise NotTracedError(f"cannot be traced: {brief(error)}") from error
        try:
            changed = about(cell) != before
        except NotTracedError:
            changed = True
        if changed:
            raise NotTracedError("changes its cell")
        return found


def _trace(cell: Any, options: Options, rows: int) -> Trace:
    layout, H = layout_of(cell), options.hidden_size
    if layout.wants_input:
        raise NotTracedError("is given the input itself (wants_input)")
    recorder = _Recorder()

    def tensor(name: str, shape: Sequence[int], dtype: torch.dtype = options.dtype, grad: bool = True) -> Tensor:
        value = 0.1 + rows * (1 + len(recorder.inputs)) % 89 / 100  # another one for every number of rows
        made = torch.full(tuple(shape), value).to(dtype)
        recorder.add_input(name, made)
        return made.requires_grad_(grad)

    x = tensor("x", (rows, len(layout.gates) * H))
    shapes = [(rows, *shape) for shape in shapes_of(cell, H)]
    state = tuple(tensor(f"state{number}", shape) for number, shape in enumerate(shapes))
    masks = [
        tensor(f"zoneout{number}", shape, torch.bool, grad=False) if share is True else share
        for number, (share, shape) in enumerate(zip(options.zoneout, shapes, strict=True))
    ]
    mask = tensor("mask", (rows, H), grad=False) if options.masked else None
    own = dict(_parameters(cell))
    values = {
        key: tensor(f"{OWN}{key}", part.shape, grad=part.requires_grad)
        if part.is_floating_point()
        else torch.zeros_like(part)
        for key, part in own.items()
    }
    parameters = {f"{OWN}{key}": value for key, value in values.items() if value.requires_grad}

    gates: list[GateNames] = []
    z: list[Tensor] = []
    d_u: dict[int, Tensor] = {}

    def recur(h_BH: Tensor, gate: GateNames = None) -> Tensor:
        number = len(gates)
        gates.append(gate)
        names = layout.recurrent if gate is None else (gate,) if isinstance(gate, str) else gate
        if not names or not set(names) <= set(layout.recurrent):
            raise NotTracedError("asks recur for a gate without U")
        if h_BH.shape != (rows, H):
            raise NotTracedError(f"gives recur an argument of shape {tuple(h_BH.shape[1:])} per row")
        size = len(names) * H
        bias = parameters[f"bias{number}"] = tensor(f"bias{number}", (size,))
        if mask is not None:
            h_BH = h_BH * mask
        if layout.diagonal:
            if options.layer_norm:
                raise NotTracedError("has a diagonal U, normalised")
            weight = parameters[f"weight{number}"] = tensor(f"weight{number}", (size,))
            return torch.cat([h_BH] * len(names), 1) * weight + bias
        z.append(h_BH)
        u_BN = tensor(f"u{number}", (rows, size))
        found = _Product.apply(h_BH, u_BN, tensor(f"d_z{number}", h_BH.shape, grad=False), d_u, number)
        if options.layer_norm:
            gain = parameters[f"gain{number}"] = tensor(f"gain{number}", (size,))
            found = found * gain
        return found + bias

    with recorder, _reparametrize_module(cell, values):
        new = cell.step(x, recur, state)
        if any(part is not values[key] for key, part in _parameters(cell)):
            raise NotTracedError("changes its cell")
        if not isinstance(new, tuple) or [part.shape for part in new] != [part.shape for part in state]:
            raise NotTracedError("returns no state")
        new = tuple(
            apply_zoneout(mask[None] if isinstance(mask, Tensor) else mask, 0, *parts)
            for mask, *parts in zip(masks, new, state, strict=True)
        )
        tangents = [tensor(f"d_state{number}", part.shape, grad=False) for number, part in enumerate(new)]
        wanted = {"x": x, **{f"state{n}": part for n, part in enumerate(state)}, **parameters}
        pairs = [(part, d) for part, d in zip(new, tangents, strict=True) if part.requires_grad]
        outputs, given = zip(*pairs, strict=True)
        found = torch.autograd.grad(outputs, list(wanted.values()), given, allow_unused=True)
    grads = {key: None if d is None else recorder.node(d) for key, d in zip(wanted, found, strict=True)}
    return Trace(
        rows=rows,
        hidden_size=H,
        gates=tuple(gates),
        new=tuple(map(recorder.node, new)),
        z=tuple(map(recorder.node, z)),
        d_u=tuple(recorder.node(d_u[n]) if n in d_u else None for n in range(len(z))),
        d_x=grads["x"],
        d_old=tuple(grads[f"state{n}"] for n in range(len(state))),
        d_parameters={key: grads[key] for key in parameters},
        shapes={node.name: node.shape for node in recorder.inputs},
        normalised=options.layer_norm,
    )


class _Product(torch.autograd.Function):
    """A product with U in a trace: its result and, backwards, the gradient of its argument are inputs."""

    @staticmethod
    def forward(ctx: Any, z_BH: Tensor, u_BN: Tensor, d_z_BH: Tensor, d_u: dict[int, Tensor], number: int) -> Tensor:
        ctx.d_z_BH, ctx.d_u, ctx.number = d_z_BH, d_u, number
        return u_BN.view_as(u_BN)

    @staticmethod
    def backward(ctx: Any, d_BN: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        ctx.d_u[ctx.number] = d_BN
        return ctx.d_z_BH, None, None, None, None


class _Recorder(TorchDispatchMode):
    """Records every operation, the composite ones by their parts."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: dict[Any, Node] = {}
        self.inputs: list[Node] = []
        self._alive: list[Any] = []  # so that no address is used twice

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or torch would import its compiler, which takes seconds

    def add_input(self, name: str, tensor: Tensor) -> None:
        self.inputs.append(Node(name, tuple(tensor.shape), tensor.dtype == torch.bool, inputs=frozenset({name})))
        self._add(tensor, self.inputs[-1])

    def node(self, tensor: Tensor) -> Node:
        if _key(tensor) not in self.nodes:
            raise NotTracedError("uses a tensor that is neither its argument nor a parameter or buffer of its cell")
        return self.nodes[_key(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise NotTracedError("draws random numbers")
        if func._schema.is_mutable:
            return self._in_place(func, *args, **kwargs)
        if func in _parts() and func not in _KEPT:
            with self:
                found = inspect.unwrap(_parts()[func])(*args, **kwargs)  # a wrapper would import torch's compiler
            if found is not NotImplemented:
                return found
        if func is aten._local_scalar_dense.default:
            raise NotTracedError("looks at the values of a tensor")
        found = func(*args, **kwargs)
        given_args, given_kwargs = tree_map(self._given, (args, kwargs))
        parents = [part for part in tree_flatten((given_args, given_kwargs))[0] if isinstance(part, Node)]
        inputs = frozenset().union(*(part.inputs for part in parents))
        several = isinstance(found, (tuple, list))
        for number, part in enumerate(found if several else [found]):
            if isinstance(part, Tensor) and _key(part) not in self.nodes:
                about = func, given_args, given_kwargs | ({"output": number} if several else {}), inputs
                self._add(part, Node("", tuple(part.shape), part.dtype == torch.bool, *about))
        return found

    def _given(self, part: Any) -> Any:
        return self.node(part) if isinstance(part, Tensor) else part

    def _in_place(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Record an operation in place as one that gives a new value, which is what ``tensor`` is from here on."""
        views = [node for key, node in self.nodes.items() if key[0] == tensor.untyped_storage()._cdata]
        name, overload = func._schema.name.removeprefix("aten::"), func._overloadname
        if not views or views[0].name:
            raise NotTracedError("changes its cell or its arguments in place")
        if len(views) > 1 or not name.endswith("_") or not hasattr(aten, name[:-1]):
            raise NotTracedError(f"changes a tensor in place ({func})")
        with self:
            found = getattr(getattr(aten, name[:-1]), overload)(tensor, *args, **kwargs)
        self.nodes[_key(tensor)] = self.node(found)
        return tensor.copy_(found)

    def _add(self, tensor: Tensor, node: Node) -> None:
        self.nodes[_key(tensor)] = node
        self._alive.append(tensor.untyped_storage())


@cache
def _parts() -> dict[Any, Any]:
    """Return the functions that compute composite operations by their parts; torch collects them anew at each call."""
    from torch._decomp import core_aten_decompositions, get_decompositions

    return {**core_aten_decompositions(), **get_decompositions([aten.elu, aten.leaky_relu, aten.hardtanh])}


_KEPT = {aten.split.Tensor, aten.split_with_sizes.default, aten.unbind.int, aten.relu.default}


def _key(tensor: Tensor) -> Any:
    """Return what tells a value: two tensors of one key are the same, as nothing is changed in place."""
    return tensor.untyped_storage()._cdata, tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


def _parameters(cell: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from cell.named_parameters()
    yield from cell.named_buffers()


def about(cell: nn.Module) -> tuple[Any, ...]:
    """Return what decides how a step is traced, beside its code: parameters, buffers and attributes of its modules.

    Raises:
        NotTracedError: An attribute may change unnoticed.
    """
    tensors = tuple((name, part.shape, part.dtype, part.requires_grad) for name, part in _parameters(cell))
    own = tuple(
        (name, _repr(f"{prefix}.{name}".lstrip("."), value))
        for prefix, module in cell.named_modules()
        for name, value in vars(module).items()
        if name == "training" or not name.startswith("_")
    )
    return tensors, own


def _repr(name: str, value: Any) -> str:
    """Return a value in words that are the same only where it is."""
    if isinstance(value, Tensor) or callable(value):
        return str(id(value))  # a tensor's values take no part, or it is not traced
    leaves = tree_leaves(value)
    if all(isinstance(leaf, PLAIN) for leaf in leaves):
        return repr(value)
    kinds = {type(leaf).__name__ for leaf in leaves if not isinstance(leaf, PLAIN)}
    raise NotTracedError(f"may depend on self.{name}, which holds {' and '.join(sorted(kinds))}")

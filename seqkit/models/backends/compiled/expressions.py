"""C of the elements of traced values: expressions of the inputs at an index, common parts once.

Every operation of a step is done element by element and row by row. Of the step's values the costly ones, as a sigmoid
is, are kept for the gradient; the others are computed anew.
"""

# B batch, H hidden

from dataclasses import dataclass, field
from math import inf, prod
from typing import Any, NamedTuple

from torch.utils._pytree import tree_flatten

from seqkit.models.backends.compiled.trace import Node, NotTracedError, Trace, aten


class At(NamedTuple):
    """An index along one axis: ``start``, or ``start + j``, where j runs over the units of a block."""

    start: int
    moves: bool = False


Index = tuple[At, ...]
"""Along all axes after that of the batch."""


@dataclass(frozen=True)
class Buffer:
    """A value in memory, one row per step and row of the batch.

    Attributes:
        name: In C.
        size: Numbers per row.
        node: What it holds.
    """

    name: str
    size: int
    node: Node


COSTLY = {
    aten.sigmoid.default: "sigmoid({})",
    aten.tanh.default: "tanh_({})",
    aten.exp.default: "MATH(exp)({})",
    aten.expm1.default: "MATH(expm1)({})",
    aten.gelu.default: "(REAL)0.5 * {0} * (1 + MATH(erf)({0} * (REAL)0.7071067811865476))",
    aten.log.default: "MATH(log)({})",
    aten.log1p.default: "MATH(log1p)({})",
    aten.sqrt.default: "MATH(sqrt)({})",
    aten.rsqrt.default: "1 / MATH(sqrt)({})",
    aten.sin.default: "MATH(sin)({})",
    aten.cos.default: "MATH(cos)({})",
    aten.erf.default: "MATH(erf)({})",
    aten.pow.Tensor_Scalar: "MATH(pow)({}, {})",
    aten.pow.Tensor_Tensor: "MATH(pow)({}, {})",
    aten.div.Tensor: "{} / {}",
    aten.reciprocal.default: "1 / {}",
}
CHEAP = {
    aten.add.Tensor: "{} + {}",
    aten.sub.Tensor: "{} - {}",
    aten.mul.Tensor: "{} * {}",
    aten.add.Scalar: "{} + {}",
    aten.sub.Scalar: "{} - {}",
    aten.mul.Scalar: "{} * {}",
    aten.div.Scalar: "{} / {}",
    aten.neg.default: "-{}",
    aten.abs.default: "MATH(fabs)({})",
    aten.relu.default: "({0} > 0 || {0} != {0} ? {0} : 0)",
    aten.sign.default: "(REAL)(({0} > 0) - ({0} < 0))",
    aten.where.self: "({} ? {} : {})",
    aten.maximum.default: "({0} > {1} || {0} != {0} ? {0} : {1})",
    aten.minimum.default: "({0} < {1} || {0} != {0} ? {0} : {1})",
    aten.logical_not.default: "!{}",
    aten.bitwise_not.default: "!{}",
    aten.logical_and.default: "({} && {})",
    aten.bitwise_and.Tensor: "({} && {})",
    aten.logical_or.default: "({} || {})",
    aten.bitwise_or.Tensor: "({} || {})",
}
for _name, _sign in {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}.items():
    for _overload in ("Scalar", "Tensor"):
        CHEAP[getattr(getattr(aten, _name), _overload)] = f"({{}} {_sign} {{}})"
POINTWISE = COSTLY | CHEAP
SAME = {
    aten.alias.default, aten.detach.default, aten.clone.default, aten.lift_fresh.default, aten.contiguous.default,
}  # fmt: skip
RESHAPED = {
    aten.view.default, aten._unsafe_view.default, aten.unsqueeze.default, aten.squeeze.dim, aten.squeeze.dims,
    aten.squeeze.default, aten.reshape.default,
}  # fmt: skip
FILLED = {aten.zeros_like.default: 0, aten.ones_like.default: 1, aten.new_zeros.default: 0, aten.zeros.default: 0}
SUMS = {aten.sum.dim_IntList, aten.sum.default}


@dataclass
class Values:
    """Which values of a trace are inputs of its C, which are constants, and which are kept for the gradient.

    Attributes:
        trace: Of the step.
        constants: Numbers of the values that depend on parameters only.
        saved: Values kept for the gradient.
        read_again: Numbers of the products whose results the gradient needs.
        apart: Whether no unit is computed from products or gradients of another, so that threads may share them out.
    """

    trace: Trace
    constants: dict[Node, int] = field(default_factory=dict)
    saved: dict[Node, Buffer] = field(default_factory=dict)
    read_again: set[int] = field(default_factory=set)
    apart: bool = True

    def varies(self, node: Node) -> bool:
        """Whether a value has rows, in steps or in the batch."""
        return bool(node.inputs & self.trace.per_step) or self.trace.rows in node.shape

    def stage(self, node: Node) -> int:
        """Return the number of products that must be done before a value of the step."""
        return max((n + 1 for n in range(len(self.trace.z)) if f"u{n}" in node.inputs), default=0)

    def backward_stage(self, node: Node) -> int:
        """Return the number of products that must be done backwards before a value of the gradient."""
        products = len(self.trace.z)
        return max((products - n for n in range(products) if f"d_z{n}" in node.inputs), default=0)

    def size(self, number: int) -> str:
        """Return a size in C, as a multiple of H where it is one, so that one C serves every H."""
        times, rest = divmod(number, self.trace.hidden_size)
        if not number or rest:
            return str(number)
        return "H" if times == 1 else f"{times} * H"

    def place(self, index: Index, shape: tuple[int, ...], constant: bool = False) -> str:
        """Return the place of an element in its row."""
        start, step = _linear(index, shape)
        if not constant and (step != 1 or start % self.trace.hidden_size):
            self.apart = False
        parts = ([self.size(start)] if start or not step else []) + (
            [f"j * ({self.size(step)})" if step > 1 else "j"] if step else []
        )
        return " + ".join(parts)


class Block:
    """Statements for one unit j of a block of units, in a stage between two products.

    Args:
        values: Of the trace.
        unit: Number of units.
        stage: Number of products done before.
        backward: Whether it is part of the gradient.
    """

    def __init__(self, values: Values, unit: int, stage: int, backward: bool) -> None:
        self.values, self.unit, self.stage, self.backward = values, unit, stage, backward
        self.lines: list[str] = []
        self._known: dict[tuple[Node, Index], str] = {}

    def write(self, name: str, sign: str, node: Node, index: Index, shape: tuple[int, ...]) -> None:
        """Add the statement that writes an element of a value, or adds it."""
        self.lines.append(f"{name}[{self.values.place(index, shape)}] {sign} {self.value(node, index)};")

    def text(self) -> str:
        """Return the loop over the units."""
        body = "".join(f"            {line}\n" for line in self.lines)
        span = f"int j = 0; j < {self.values.size(self.unit)}; j++"
        if self.unit == self.values.trace.hidden_size:
            span = "int j = own.unit; j < own.unit + own.units; j++"
        return f"#pragma GCC ivdep\n        for ({span}) {{\n{body}        }}\n"

    def value(self, node: Any, index: Index) -> str:
        """Return the C of an element of a value; ``index`` has all axes, without that of the batch."""
        if isinstance(node, bool) or not isinstance(node, (Node, int, float)):
            raise NotTracedError(f"computes with {node!r}")
        if not isinstance(node, Node):
            return _literal(node)
        key = node, index
        if key not in self._known:
            found = self._expression(node, index)
            if not found.isidentifier():
                name = f"v{len(self._known)}"
                self.lines.append(f"const {'int' if node.boolean else 'REAL'} {name} = {found};")
                found = name
            self._known[key] = found
        return self._known[key]

    def _expression(self, node: Node, index: Index) -> str:
        values, trace = self.values, self.values.trace
        if not values.varies(node):
            number = values.constants.setdefault(node, len(values.constants))
            return f"constant{number}_[{values.place(index, node.shape, constant=True)}]"
        if node.shape[:1] != (trace.rows,):
            raise NotTracedError(f"has a value whose first axis is not the batch ({node.op})")
        if node.name:
            return self._input(node.name, values.place(index, node.shape[1:]))
        if self.backward and node in trace.new and not self._of_gradient(node):
            return f"new{trace.new.index(node)}[{values.place(index, node.shape[1:])}]"
        if node.op in COSTLY and not self._of_gradient(node) and (self.backward or values.stage(node) < self.stage):
            if node not in values.saved:
                values.saved[node] = Buffer(f"saved{len(values.saved)}", prod(node.shape[1:]), node)
            return f"{values.saved[node].name}[{values.place(index, node.shape[1:])}]"
        if node.op is aten.clamp.default:
            found = self._operand(node.args[0], node, index)
            for arg, sign in zip(node.args[1:], "<>", strict=False):
                if arg is not None:
                    limit = self._operand(arg, node, index)
                    found = f"({found} {sign} {limit} ? {limit} : {found})"
            return found
        if node.op in POINTWISE:
            return self._pointwise(node, index)
        return self._moved(node, index)

    def _input(self, name: str, place: str) -> str:
        if name.startswith("d_state"):  # what later steps give, and what is given from outside
            return f"({name}[{place}] + d_out{name.removeprefix('d_state')}[{place}])"
        if self.backward and name.startswith("u"):
            self.values.read_again.add(int(name[1:]))
        return f"{name}[{place}]"

    def _of_gradient(self, node: Node) -> bool:
        return any(name.startswith(("d_state", "d_z")) for name in node.inputs & self.values.trace.per_step)

    def _pointwise(self, node: Node, index: Index) -> str:
        args = node.args
        extra = {key: value for key, value in node.kwargs.items() if value is not None}
        alpha = extra.pop("alpha", 1)
        if extra:
            raise NotTracedError(f"uses {node.op} with {', '.join(extra)}")
        values = [self._operand(arg, node, index) for arg in args]
        if alpha != 1:
            values[1] = f"{_literal(alpha)} * {values[1]}"
        return POINTWISE[node.op].format(*values)

    def _operand(self, arg: Any, node: Node, index: Index) -> str:
        """Return the C of an argument that is broadcast to its operation's result."""
        if not isinstance(arg, Node):
            return self.value(arg, ())
        return self.value(arg, self._broadcast(arg, node, index))

    def _broadcast(self, arg: Node, node: Node, index: Index) -> Index:
        whole = (At(0), *index)  # with the batch, whose place is not used
        shape = node.shape
        own = tuple(
            At(0) if size == 1 and full != 1 else at
            for size, full, at in zip(arg.shape[::-1], shape[::-1], whole[::-1], strict=False)
        )[::-1]
        if self.values.varies(arg):
            if len(arg.shape) != len(shape):
                raise NotTracedError("broadcasts the batch along another axis")
            return own[1:]
        if len(arg.shape) == len(shape) and arg.shape[0] != 1:
            raise NotTracedError("has a constant along the batch")
        return own

    def _moved(self, node: Node, index: Index) -> str:
        """Return the C of an element that is one of another value, or of several joined."""
        op, args = node.op, node.args
        if op in FILLED:
            return _literal(FILLED[op])
        if op in (aten.full_like.default, aten.full.default, aten.fill.Scalar):
            return _literal(args[1])
        source = args[0]
        if op in SAME:
            return self.value(source, index)
        if op is aten.expand.default:
            return self._operand(source, node, index)
        if op in RESHAPED:
            return self.value(source, _unflattened(*_linear(index, node.shape[1:]), self.unit, source.shape[1:]))
        if op is aten._to_copy.default and not node.boolean and source.boolean:
            return f"(REAL){self.value(source, index)}"
        if op is aten.permute.default:
            order = [dim % len(args[1]) for dim in args[1]]
            if order[0] == 0:
                by_source = dict(zip(order[1:], index, strict=True))
                return self.value(source, tuple(by_source[dim] for dim in range(1, len(order))))
        if op is aten.cat.default:
            dim = _axis(args, 1, node.shape)
            for part in source:
                size = part.shape[dim + 1]
                if self._fits(index[dim], size):
                    return self.value(part, index)
                if index[dim].start < size:
                    raise NotTracedError("joins values inside a block of units")
                index = _shifted(index, dim, -size)
        if op in (aten.split.Tensor, aten.split_with_sizes.default):
            dim, number = _axis(args, 2, source.shape), node.kwargs["output"]
            sizes = [args[1]] * number if isinstance(args[1], int) else args[1][:number]
            return self.value(source, _shifted(index, dim, sum(sizes)))
        if op in (aten.unbind.int, aten.select.int):
            dim = _axis(args, 1, source.shape)
            number = node.kwargs["output"] if op is aten.unbind.int else args[2] % source.shape[dim + 1]
            return self.value(source, (*index[:dim], At(number), *index[dim:]))
        if op is aten.slice.Tensor and args[4:] in ((), (1,)):
            dim = _axis(args, 1, source.shape)
            return self.value(source, _shifted(index, dim, _start(args, 2, source.shape[dim + 1])))
        if op is aten.slice_scatter.default and args[5:] in ((), (1,)):
            dim = _axis(args, 2, node.shape)
            inner = _shifted(index, dim, -_start(args, 3, node.shape[dim + 1]))
            if self._fits(inner[dim], args[1].shape[dim + 1]):
                return self.value(args[1], inner)
            if inner[dim].start >= args[1].shape[dim + 1] or inner[dim].start + self._length(inner[dim]) <= 0:
                return self.value(source, index)
        if op is aten.select_scatter.default:
            dim = _axis(args, 2, node.shape)
            if not index[dim].moves:
                hit = index[dim].start == args[3] % node.shape[dim + 1]
                return self.value(args[1], index[:dim] + index[dim + 1 :]) if hit else self.value(source, index)
        raise NotTracedError(f"sums over units ({op})" if op in SUMS else f"uses {op}")

    def _length(self, at: At) -> int:
        return self.unit if at.moves else 1

    def _fits(self, at: At, size: int) -> bool:
        return at.start >= 0 and at.start + self._length(at) <= size


def parents(node: Node) -> list[Node]:
    """Return the values that a value is computed from."""
    return [part for part in tree_flatten((node.args, node.kwargs))[0] if isinstance(part, Node)]


def _literal(value: float) -> str:
    if value != value:
        return "(REAL)NAN"
    if abs(value) == inf:
        return "(REAL)INFINITY" if value > 0 else "(REAL)-INFINITY"
    return f"(REAL){float(value)!r}" if value >= 0 else f"((REAL){float(value)!r})"


def _linear(index: Index, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the place of an element in its row, as start and step per unit."""
    start = step = 0
    for at, size in zip(index, shape, strict=True):
        start, step = start * size + at.start, step * size + at.moves
    return start, step


def _unflattened(start: int, step: int, unit: int, shape: tuple[int, ...]) -> Index:
    found: list[At] = []
    stride = 1
    for size in reversed(shape):
        at = At(start // stride % size, step == stride and size > 1)
        if at.moves and at.start + unit > size:
            raise NotTracedError("has a view that cuts blocks of units")
        found.append(at)
        stride *= size
    if sum(at.moves for at in found) != (step > 0):
        if step and unit == 1:
            return tuple(found[::-1])
        raise NotTracedError("has a view that cuts blocks of units")
    return tuple(found[::-1])


def _axis(args: tuple[Any, ...], place: int, shape: tuple[int, ...]) -> int:
    """Return the axis that an operation is given, counted after that of the batch."""
    dim = (args[place] if len(args) > place else 0) % len(shape)
    if dim == 0:
        raise NotTracedError("cuts or joins the batch")
    return dim - 1


def _start(args: tuple[Any, ...], place: int, size: int) -> int:
    start = args[place] if len(args) > place and args[place] is not None else 0
    return max(0, start + size) if start < 0 else min(start, size)


def _shifted(index: Index, dim: int, by: int) -> Index:
    return (*index[:dim], At(index[dim].start + by, index[dim].moves), *index[dim + 1 :])

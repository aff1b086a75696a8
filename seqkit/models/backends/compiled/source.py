"""C of a traced step: its operations on one element, in a loop over the units, between the products with U.

Every operation of a step is done element by element and row by row, so that a value is written as an expression of the
inputs at its index, common parts once. Of the step's values only those are kept for the gradient that are costly, as a
sigmoid is; the others are computed anew.
"""

# B batch, H hidden, T time

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, prod
from typing import Any, NamedTuple

from torch.utils._pytree import tree_flatten

from seqkit.models.backends.compiled.trace import Node, NotTracedError, Trace, aten

MOST_BLOCKS = 64  # of units in a value, each of which has code of its own


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


@dataclass(frozen=True)
class Source:
    """The C of a step, and what its functions take.

    Attributes:
        text: Of ``forward`` and ``backward``.
        saved: Values kept for the gradient.
        constants: Values that depend on parameters only.
        sums: Values that are summed over steps and rows for the gradients of parameters.
        argument: Of each product: the number of the state that it is, or None for a buffer of its own.
        widths: Of each product.
    """

    text: str
    saved: tuple[Buffer, ...]
    constants: tuple[Node, ...]
    sums: tuple[Node, ...]
    argument: tuple[int | None, ...]
    widths: tuple[int, ...]


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


def write_source(trace: Trace) -> Source:
    """Return the C of a traced step.

    Raises:
        NotTracedError: The step does something that has no C, as a product of its own or a sum over units.
    """
    return _Writer(trace).write()


class _Writer:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.H, self.rows = trace.hidden_size, trace.rows
        self.products = len(trace.z)
        self.state_numbers = {f"state{n}": n for n in range(len(trace.new))}
        per_step = {"x", "mask", *self.state_numbers, *(f"zoneout{n}" for n in range(len(trace.new)))}
        per_step |= {f"{name}{n}" for name in ("u", "d_z") for n in range(self.products)}
        self.per_step = per_step | {f"d_state{n}" for n in range(len(trace.new))}
        self.constants: dict[Node, int] = {}
        self.saved: dict[Node, Buffer] = {}

    def write(self) -> Source:
        trace = self.trace
        sums = self._sums()
        whole = {trace.d_x} if trace.normalised else {trace.d_x, *trace.d_u}  # are there for all steps afterwards
        self.sums = tuple(node for node in sums if node not in whole)
        backward = [self._backward_stage(number) for number in range(self.products + 1)]
        while True:  # what one stage computes and a later one needs is kept if it is costly, and may need more
            before = len(self.saved)
            forward = [self._forward_stage(number) for number in range(self.products + 1)]
            if len(self.saved) == before:
                break
        argument = tuple(self.state_numbers.get(z.name) for z in trace.z)
        widths = tuple(trace.shapes[f"u{n}"][1] for n in range(self.products))
        text = self._functions(forward, backward, argument, widths)
        return Source(text, tuple(self.saved.values()), tuple(self.constants), self.sums, argument, widths)

    # ---- What belongs where

    def varies(self, node: Node) -> bool:
        """Whether a value has rows, in steps or in the batch."""
        return bool(node.inputs & self.per_step) or self.rows in node.shape

    def stage(self, node: Node) -> int:
        """Return the number of products that must be done before a value of the step."""
        return max((n + 1 for n in range(self.products) if f"u{n}" in node.inputs), default=0)

    def backward_stage(self, node: Node) -> int:
        """Return the number of products that must be done backwards before a value of the gradient."""
        return max((self.products - n for n in range(self.products) if f"d_z{n}" in node.inputs), default=0)

    def _sums(self) -> list[Node]:
        """Return the values with rows whose sums the gradients of the parameters are made from."""
        found: dict[Node, None] = {}

        def visit(node: Node) -> None:
            if not self.varies(node):
                return
            parents = _parents(node)
            if node.op in SUMS and self.rows in parents[0].shape:
                dims = node.args[1] if len(node.args) > 1 and node.args[1] else range(len(parents[0].shape))
                if 0 not in [dim % len(parents[0].shape) for dim in dims]:
                    raise NotTracedError(f"sums over units ({node.op})")
                found[parents[0]] = None
                return
            if self.rows in node.shape:
                raise NotTracedError(f"gives a parameter a gradient by {node.op}")
            for parent in parents:
                visit(parent)

        for node in self.trace.d_parameters.values():
            if node is not None:
                visit(node)
        return list(found)

    # ---- The stages between the products

    def _forward_stage(self, number: int) -> str:
        trace, targets = self.trace, []
        for buffer in list(self.saved.values()):
            if self.stage(buffer.node) == number:
                targets.append((buffer.node, buffer.name, "="))
        if number < self.products:
            if trace.z[number].name not in self.state_numbers:
                targets.append((trace.z[number], f"z{number}", "="))
        else:
            targets += [(node, f"new{n}", "=") for n, node in enumerate(trace.new)]
        return self._loops(targets, number, backward=False)

    def _backward_stage(self, number: int) -> str:
        trace, last = self.trace, self.products
        targets = []
        if number < last:
            node = trace.d_u[last - 1 - number]
            if node is not None:
                targets.append((node, f"d_u{last - 1 - number}", "="))
        if trace.d_x is not None and trace.d_x not in trace.d_u and self.backward_stage(trace.d_x) == number:
            targets.append((trace.d_x, "d_x", "="))
        targets += [(node, f"sum{n}", "+=") for n, node in enumerate(self.sums) if self.backward_stage(node) == number]
        if number == last:
            shapes = (node.shape for node in trace.new)
            nothing = (Node("", shape, False, aten.zeros.default) for shape in shapes)
            targets += [
                (node or zero, f"d_old{n}", "=")
                for n, (node, zero) in enumerate(zip(trace.d_old, nothing, strict=True))
            ]
        return self._loops(targets, number, backward=True)

    def _loops(self, targets: list[tuple[Node, str, str]], stage: int, backward: bool) -> str:
        """Return the loops over units that compute values and write them: one for all of one length."""
        loops: dict[int, _Loop] = {}
        for node, name, sign in targets:
            shape = node.shape[1:]
            if node.shape[:1] != (self.rows,):
                if self.rows in node.shape:
                    raise NotTracedError("has a value whose first axis is not the batch")
                shape = node.shape  # a constant, the same in every row
            for index, unit in self._blocks(shape):
                loop = loops.setdefault(unit, _Loop(self, unit, stage, backward))
                loop.lines.append(f"{name}[{self.flat(index, shape)}] {sign} {loop.value(node, index)};")
        return "".join(loop.text() for loop in loops.values())

    def _blocks(self, shape: tuple[int, ...]) -> Iterator[tuple[Index, int]]:
        """Yield the start of each block of units of a row, and its length."""
        *outer, last = shape or (1,)
        unit = self.H if last % self.H == 0 else last
        if prod(outer) * (last // unit) > MOST_BLOCKS:
            raise NotTracedError(f"has a value of shape {(*outer, last)} per row")
        places: list[tuple[At, ...]] = [()]
        for size in outer:
            places = [(*place, At(number)) for place in places for number in range(size)]
        for place in places:
            for start in range(0, last, unit):
                yield ((*place, At(start, True)) if shape else ()), unit

    # ---- Numbers in C

    def size(self, number: int) -> str:
        """Return a size in C, as a multiple of H where it is one, so that one C serves every H."""
        times, rest = divmod(number, self.H)
        if not number or rest:
            return str(number)
        return "H" if times == 1 else f"{times} * H"

    def flat(self, index: Index, shape: tuple[int, ...]) -> str:
        """Return the place of an element in its row."""
        start, step = _linear(index, shape)
        parts = ([self.size(start)] if start or not step else []) + (
            [f"j * ({self.size(step)})" if step > 1 else "j"] if step else []
        )
        return " + ".join(parts)

    # ---- The functions

    def _functions(
        self, forward: list[str], backward: list[str], argument: tuple[int | None, ...], widths: tuple[int, ...]
    ) -> str:
        trace = self.trace
        states = range(len(trace.new))
        S = [self.size(prod(trace.shapes[f"state{n}"][1:])) for n in states]
        N = [self.size(width) for width in widths]
        K = [self.size(z.shape[1]) for z in trace.z]
        x = self.size(trace.shapes["x"][1])
        masks = [n for n in states if f"zoneout{n}" in trace.shapes]
        products = range(self.products)
        names = [("const REAL", "x_")]
        names += [("REAL", f"states{n}_") for n in states] + [("const uint8_t", f"zoneout{n}_") for n in masks]
        names += [("const REAL", "mask_")] if "mask" in trace.shapes else []
        names += [("const REAL", f"constant{n}") for n in range(len(self.constants))]
        names += [("const REAL", f"weight{n}") for n in products]
        names += [("REAL", f"u{n}_") for n in products]
        names += [("REAL", f"scale{n}_") for n in products] if trace.normalised else []
        names += [("REAL", f"z{n}_") for n in products if argument[n] is None]
        names += [("REAL", f"{buffer.name}_") for buffer in self.saved.values()]
        shared = len(names)
        names += [("REAL", "d_x_")] if trace.d_x is not None and trace.d_x not in trace.d_u else []
        names += [("const REAL", f"d_out{n}_") for n in states]
        names += [("REAL", f"d_state{n}_") for n in states] + [("REAL", f"d_old{n}_") for n in states]
        names += [("REAL", f"d_u{n}_") for n in products] + [("REAL", f"d_z{n}_") for n in products]
        names += [("REAL", f"sum{n}_") for n in range(len(self.sums))]

        def declared(names: list[tuple[str, str]]) -> str:
            return "".join(f"    {kind} *{name} = p[{number}];\n" for number, (kind, name) in enumerate(names))

        def row(kind: str, name: str, base: str, where: str, size: str) -> str:
            return f"        {kind} *restrict {name} = {base} + ({where}) * ({size});\n"

        def rows(back: bool) -> str:
            found = row("const REAL", "x", "x_", "now + b", x)
            for n in states:
                found += row("const REAL", f"state{n}", f"states{n}_", "now + b", S[n])
                found += row("REAL" if not back else "const REAL", f"new{n}", f"states{n}_", "now + B + b", S[n])
            for n in masks:
                found += row("const uint8_t", f"zoneout{n}", f"zoneout{n}_", "now + b", S[n])
            if "mask" in trace.shapes:
                found += row("const REAL", "mask", "mask_", "b", "H")
            kind = "const REAL" if back else "REAL"
            for n in products:
                found += row("const REAL", f"u{n}", f"u{n}_", "kept + b", N[n])
                if argument[n] is None and not back:
                    found += row("REAL", f"z{n}", f"z{n}_", "kept + b", K[n])
            for buffer in self.saved.values():
                found += row(kind, buffer.name, f"{buffer.name}_", "kept + b", self.size(buffer.size))
            if back:
                if trace.d_x is not None and trace.d_x not in trace.d_u:
                    found += row("REAL", "d_x", "d_x_", "now + b", x)
                for n in states:
                    found += row("const REAL", f"d_state{n}", f"d_state{n}_", "b", S[n])
                    found += row("REAL", f"d_old{n}", f"d_old{n}_", "b", S[n])
                for n in products:
                    found += row("REAL", f"d_u{n}", f"d_u{n}_", "now + b", N[n])
                    found += row("const REAL", f"d_z{n}", f"d_z{n}_", "b", K[n])
                for n, node in enumerate(self.sums):
                    found += row("REAL", f"sum{n}", f"sum{n}_", "b", self.size(prod(node.shape[1:])))
            return found

        def each_row(body: str, back: bool) -> str:
            if not body:
                return ""
            return f"      for (int64_t b = first; b < first + rows; b++) {{\n{rows(back)}{body}      }}\n"

        text = "EXPORT void forward(int threads, int64_t T, int64_t B, int64_t H, int keep, void **p) {\n"
        text += declared(names[:shared])
        for n in products:
            text += f"    REAL *packed{n} = packed(threads, 1, {N[n]}, {K[n]}, weight{n});\n"
        text += "#pragma omp parallel num_threads(threads)\n  {\n    int64_t first, rows = share_out(B, &first);\n"
        text += "    for (int64_t t = 0; t < T; t++) {\n      const int64_t now = t * B, kept = keep ? now : 0;\n"
        for n in products:
            z = f"z{n}_ + (kept + first)" if argument[n] is None else f"states{argument[n]}_ + (now + first)"
            text += each_row(forward[n], False)
            u = f"u{n}_ + (kept + first) * ({N[n]})"
            text += f"      multiply(rows, {N[n]}, {K[n]}, {z} * ({K[n]}), packed{n}, 0, {u});\n"
            if trace.normalised:
                text += (
                    f"      normalise(rows, {N[n]}, H, u{n}_ + (kept + first) * ({N[n]}), "
                    f"scale{n}_ + (kept + first) * ({N[n]} / H));\n"
                )
        text += each_row(forward[-1], False) + "    }\n  }\n"
        text += "".join(f"    free(packed{n});\n" for n in products) + "}\n\n"

        text += "EXPORT void backward(int threads, int64_t T, int64_t B, int64_t H, void **p) {\n" + declared(names)
        for n in products:
            text += f"    REAL *packed{n} = packed(threads, 0, {K[n]}, {N[n]}, weight{n});\n"
        text += "#pragma omp parallel num_threads(threads)\n  {\n    int64_t first, rows = share_out(B, &first);\n"
        for n in states:
            text += f"    REAL *d_state{n}_now = d_state{n}_, *d_old{n}_now = d_old{n}_;\n"
        text += "    for (int64_t t = T - 1; t >= 0; t--) {\n      const int64_t now = t * B, kept = now;\n"
        for n in states:
            text += f"      REAL *d_state{n}_ = d_state{n}_now, *d_old{n}_ = d_old{n}_now;\n"
            out, state = f"d_out{n}_ + (now + first) * ({S[n]})", f"d_state{n}_ + first * ({S[n]})"
            text += f"      if (d_out{n}_) add(rows * ({S[n]}), {out}, {state});\n"
        for stage in range(self.products + 1):
            text += each_row(backward[stage], True)
            n = self.products - 1 - stage
            if n >= 0 and trace.d_u[n] is not None:
                d_u = f"d_u{n}_ + (now + first) * ({N[n]})"
                if trace.normalised:
                    text += (
                        f"      normalise_backward(rows, {N[n]}, H, u{n}_ + (now + first) * ({N[n]}), "
                        f"scale{n}_ + (now + first) * ({N[n]} / H), {d_u});\n"
                    )
                text += f"      multiply(rows, {K[n]}, {N[n]}, {d_u}, packed{n}, 0, d_z{n}_ + first * ({K[n]}));\n"
        for n in states:
            text += f"      d_state{n}_now = d_old{n}_, d_old{n}_now = d_state{n}_;\n"
        text += "    }\n  }\n" + "".join(f"    free(packed{n});\n" for n in products) + "}\n"
        return text


class _Loop:
    """Statements for one unit j of a block, in a stage."""

    def __init__(self, writer: _Writer, unit: int, stage: int, backward: bool) -> None:
        self.writer, self.unit, self.stage, self.backward = writer, unit, stage, backward
        self.lines: list[str] = []
        self._known: dict[tuple[Node, Index], str] = {}

    def text(self) -> str:
        unit = self.writer.size(self.unit)
        body = "".join(f"            {line}\n" for line in self.lines)
        return f"#pragma GCC ivdep\n        for (int64_t j = 0; j < {unit}; j++) {{\n{body}        }}\n"

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
        writer = self.writer
        if not writer.varies(node):
            number = writer.constants.setdefault(node, len(writer.constants))
            return f"constant{number}[{writer.flat(index, node.shape)}]"
        if node.shape[:1] != (writer.rows,):
            raise NotTracedError(f"has a value whose first axis is not the batch ({node.op})")
        if node.name:
            return f"{node.name}[{writer.flat(index, node.shape[1:])}]"
        place = writer.flat(index, node.shape[1:])
        if self.backward and node in writer.trace.new and not self._of_gradient(node):
            return f"new{writer.trace.new.index(node)}[{place}]"
        if node.op in COSTLY and not self._of_gradient(node) and (self.backward or writer.stage(node) < self.stage):
            if node not in writer.saved:
                writer.saved[node] = Buffer(f"saved{len(writer.saved)}", prod(node.shape[1:]), node)
            return f"{writer.saved[node].name}[{place}]"
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

    def _of_gradient(self, node: Node) -> bool:
        return any(name.startswith(("d_state", "d_z")) for name in node.inputs & self.writer.per_step)

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
        if self.writer.varies(arg):
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


def _parents(node: Node) -> list[Node]:
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

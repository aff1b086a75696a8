"""C of a traced step: its forward and backward loop over time, with the products with U between its stages.

Threads share out the rows of the batch and, where these are few, the units too, as in ``recurrence.c``, whose products
it takes. Within a stage everything is done unit by unit (``expressions``).
"""

# T time, B batch, H hidden, N result of a product

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from seqkit.models.backends.compiled.expressions import SUMS, At, Block, Buffer, Index, Values, parents
from seqkit.models.backends.compiled.trace import Node, NotTracedError, Trace

MOST_BLOCKS = 64  # of units in a value, each of which has code of its own
NOW, NEXT, SAVED, EVERY = "now + {}", "now + B + {}", "saved_at + {}", "{}"
"""Places of a row of the batch in an array: at the step, after it, where it is kept, and of an array for any step."""


@dataclass(frozen=True)
class Source:
    """The C of a step, and what its functions take.

    Attributes:
        text: Of ``forward`` and ``backward``.
        forward: Names of the arrays that ``forward`` takes, in their order.
        backward: Likewise.
        saved: Values kept for the gradient.
        constants: Values that depend on parameters only.
        sums: Values that are summed over steps and rows for the gradients of parameters.
        argument: Of each product: the number of the state that it is, or None for an array of its own.
        widths: N of each product.
        read_again: Numbers of the products whose results are kept for the gradient.
    """

    text: str
    forward: tuple[str, ...]
    backward: tuple[str, ...]
    saved: tuple[Buffer, ...]
    constants: tuple[Node, ...]
    sums: tuple[Node, ...]
    argument: tuple[int | None, ...]
    widths: tuple[int, ...]
    read_again: frozenset[int]


class Row(NamedTuple):
    """A row of an array in C: its name, the array's, numbers per row, and place."""

    name: str
    array: str
    size: str
    at: str
    kind: str = "REAL"


def write_source(trace: Trace) -> Source:
    """Return the C of a traced step.

    Raises:
        NotTracedError: The step does something that has no C, as a product of its own or a sum over units.
    """
    return _Writer(trace).write()


class _Writer:
    def __init__(self, trace: Trace) -> None:
        self.trace, self.values = trace, Values(trace)
        self.size = self.values.size
        self.states, self.products = range(len(trace.new)), range(len(trace.z))
        numbers = {f"state{n}": n for n in self.states}
        self.argument = tuple(numbers.get(z.name) for z in trace.z)
        self.widths = tuple(trace.shapes[f"u{n}"][1] for n in self.products)
        self.gates = tuple(width // trace.hidden_size for width in self.widths)
        self.N = tuple(map(self.size, self.widths))
        # Bare products stay there for all steps, so that sums of their gradients are taken afterwards.
        whole = {trace.d_x} if trace.normalised else {trace.d_x, *trace.d_u}
        self.sums = tuple(node for node in self._sums() if node not in whole)

    def write(self) -> Source:
        stages = range(len(self.products) + 1)
        backward = [self._backward_stage(number) for number in stages]
        while True:  # what one stage computes and a later one needs is kept if it is costly, and may need more
            before = len(self.values.saved)
            forward = [self._forward_stage(number) for number in stages]
            if len(self.values.saved) == before:
                break
        if self.trace.normalised:
            self.values.read_again.update(self.products)
        ahead, taken = self._forward(forward)
        back, taken_back = self._backward(backward)
        saved, constants = tuple(self.values.saved.values()), tuple(self.values.constants)
        again = frozenset(self.values.read_again)
        return Source(
            ahead + "\n" + back, taken, taken_back, saved, constants, self.sums, self.argument, self.widths, again
        )

    def _sums(self) -> list[Node]:
        """Return the values with rows whose sums the gradients of the parameters are made from."""
        found: dict[Node, None] = {}

        def visit(node: Node) -> None:
            if not self.values.varies(node):
                return
            before = parents(node)
            if node.op in SUMS and self.trace.rows in before[0].shape:
                shape = before[0].shape
                dims = node.args[1] if len(node.args) > 1 and node.args[1] else range(len(shape))
                if 0 not in [dim % len(shape) for dim in dims]:
                    raise NotTracedError(f"sums over units ({node.op})")
                found[before[0]] = None
                return
            if self.trace.rows in node.shape:
                raise NotTracedError(f"gives a parameter a gradient by {node.op}")
            for parent in before:
                visit(parent)

        for node in self.trace.d_parameters.values():
            if node is not None:
                visit(node)
        return list(found)

    # ---- The stages between the products

    def _forward_stage(self, number: int) -> str:
        stage, trace = self.values.stage, self.trace
        targets = [(one.node, one.name, "=") for one in self.values.saved.values() if stage(one.node) == number]
        if number == len(self.products):
            targets += [(node, f"new{n}", "=") for n, node in enumerate(trace.new)]
        elif self.argument[number] is None:
            targets.append((trace.z[number], f"z{number}", "="))
        return self._loops(targets, number, backward=False)

    def _backward_stage(self, number: int) -> str:
        trace, values, targets = self.trace, self.values, []
        product = len(self.products) - 1 - number
        if product >= 0 and (node := trace.d_u[product]) is not None:
            targets.append((node, f"{'d_n' if trace.normalised else 'd_u'}{product}", "="))
        wanted = [(node, f"sum{n}", "+=") for n, node in enumerate(self.sums)]
        wanted += [(node, f"d_old{n}", "=") for n, node in enumerate(trace.d_old) if node is not None]
        if trace.d_x is not None and trace.d_x not in trace.d_u:
            wanted.append((trace.d_x, "d_x", "="))
        targets += [target for target in wanted if values.backward_stage(target[0]) == number]
        return self._loops(targets, number, backward=True)

    def _loops(self, targets: list[tuple[Node, str, str]], stage: int, backward: bool) -> str:
        """Return the loops over units that compute values and write them: one for all of one length."""
        blocks: dict[int, Block] = {}
        for node, name, sign in targets:
            shape = node.shape[1:]
            if node.shape[:1] != (self.trace.rows,):
                if self.trace.rows in node.shape:
                    raise NotTracedError("has a value whose first axis is not the batch")
                shape = node.shape  # a constant, the same in every row
            for index, unit in self._parts(shape):
                block = blocks.setdefault(unit, Block(self.values, unit, stage, backward))
                block.write(name, sign, node, index, shape)
        return "".join(block.text() for block in blocks.values())

    def _parts(self, shape: tuple[int, ...]) -> Iterator[tuple[Index, int]]:
        """Yield the start of each block of units of a row, and its length."""
        *outer, last = shape or (1,)
        unit = self.trace.hidden_size if last % self.trace.hidden_size == 0 else last
        if unit != self.trace.hidden_size:
            self.values.apart = False
        if prod(outer) * (last // unit) > MOST_BLOCKS:
            raise NotTracedError(f"has a value of shape {(*outer, last)} per row")
        places: list[tuple[At, ...]] = [()]
        for size in outer:
            places = [(*place, At(number)) for place in places for number in range(size)]
        for place in places:
            for start in range(0, last, unit):
                yield ((*place, At(start, True)) if shape else ()), unit

    # ---- The functions

    def _rows(self) -> list[Row]:
        """Return the rows that the stages of both functions read or write."""
        trace, x = self.trace, self.size(self.trace.shapes["x"][1])
        found = [Row("x", "x", x, NOW), Row("d_x", "d_x", x, NOW), Row("mask", "mask", "H", EVERY)]
        for n in self.states:
            size = self.size(prod(trace.shapes[f"state{n}"][1:]))
            found += [Row(f"state{n}", f"states{n}", size, NOW), Row(f"new{n}", f"states{n}", size, NEXT)]
            found += [Row(f"{name}{n}", f"{name}{n}", size, EVERY) for name in ("d_state", "d_old")]
            found.append(Row(f"zoneout{n}", f"zoneout{n}", size, NOW, "uint8_t"))
        for n in self.products:
            found += [self._result(n), Row(f"d_u{n}", f"d_u{n}", self.N[n], NOW)]
            found += [Row(f"d_n{n}", f"d_n{n}", self.N[n], EVERY)]
            found += [Row(f"z{n}", f"z{n}", "H", SAVED), Row(f"d_z{n}", f"d_z{n}", "H", EVERY)]
        found += [Row(one.name, one.name, self.size(one.size), SAVED) for one in self.values.saved.values()]
        return found + [
            Row(f"sum{n}", f"sum{n}", self.size(prod(node.shape[1:])), EVERY) for n, node in enumerate(self.sums)
        ]

    def _result(self, n: int) -> Row:
        """Return the row of a product's result; behind it are the scales of the gates if it is normalised."""
        size = f"{self.N[n]} + {self.gates[n]}" if self.trace.normalised else self.N[n]
        return Row(f"u{n}", f"u{n}", size, SAVED if n in self.values.read_again else EVERY)

    def _forward(self, stages: list[str]) -> tuple[str, tuple[str, ...]]:
        text = ""
        for n in self.products:
            text += self._each_row(stages[n])
            state, result = self.argument[n], self._result(n)
            if state is None:  # a state is complete since the end of its step
                text += "      wait_for_others(own);\n"
            z = Row("", f"z{n}", "H", SAVED) if state is None else Row("", f"states{state}", "H", NOW)
            u = _first(result)
            text += _multiply(self.gates[n], "H", _first(z), n, result.size, u)
            if self.trace.normalised:
                text += f"      normalise_product(own, {self.gates[n]}, H, NULL, moments, {u}, 0, NULL);\n"
        text += self._each_row(stages[-1]) + "      wait_for_others(own);\n"
        return self._function("forward", "int t = 0; t < T; t++", text)

    def _backward(self, stages: list[str]) -> tuple[str, tuple[str, ...]]:
        text = before = swapped = given = ""
        for n in self.states:
            before += f"    REAL *d_state{n}_now = d_state{n}_, *d_old{n}_now = d_old{n}_;\n"
            text += f"      REAL *d_state{n}_ = d_state{n}_now, *d_old{n}_ = d_old{n}_now;\n"
            given += f"        REAL *d_out{n} = d_out{n}_ + t * strides[{2 * n}] + b * strides[{2 * n + 1}];\n"
            swapped += f"      d_state{n}_now = d_old{n}_, d_old{n}_now = d_state{n}_;\n"
        for n in reversed(self.products):
            text += self._each_row(stages[len(self.products) - 1 - n], given)
            if self.trace.d_u[n] is None:
                continue
            d_u = _first(Row("", f"d_u{n}", self.N[n], NOW))
            if self.trace.normalised:
                d_n, u = _first(Row("", f"d_n{n}", self.N[n], EVERY)), _first(self._result(n))
                text += f"      normalise_product_back(own, {self.gates[n]}, H, NULL, {u}, {d_n}, {d_u});\n"
            d_z = _first(Row("", f"d_z{n}", "H", EVERY))
            text += "      wait_for_others(own);\n" + _multiply(1, self.N[n], d_u, n, "H", d_z)
        text += self._each_row(stages[-1], given) + swapped
        return self._function("backward", "int t = T - 1; t >= 0; t--", text, before)

    def _each_row(self, body: str, more: str = "") -> str:
        """Return the loop over the rows of a thread around a stage, with a pointer to each row that it needs."""
        if not body:
            return ""
        pointers = "".join(
            f"        {row.kind} *restrict {row.name} = {_place(row, 'b')};\n"
            for row in self._rows()
            if _names(row.name, body)
        )
        pointers += "".join(line for line in more.splitlines(True) if _names(line.split()[1][1:], body))
        return f"      for (int b = own.row; b < own.row + own.rows; b++) {{\n{pointers}{body}      }}\n"

    def _function(self, name: str, steps: str, body: str, before: str = "") -> tuple[str, tuple[str, ...]]:
        """Return a function with its threads and its loop over time, and the names of the arrays it takes."""
        kinds = {row.array: row.kind for row in self._rows()}
        others = ("constant", self.values.constants), ("packed", self.products), ("d_out", self.states)
        kinds |= {f"{array}{n}": "REAL" for array, all_of_it in others for n in range(len(all_of_it))}
        used = tuple(array for array in kinds if _names(f"{array}_", before + body))
        arrays = "".join(f"    {kinds[array]} *{array}_ = p[{number}];\n" for number, array in enumerate(used))
        groups = "(Groups){least(threads, B > 0 ? B : 1), 1}"
        if self.values.apart:
            groups = f"groups_of(threads, B, H, {self.size(sum(self.widths))})"
        if self.trace.normalised:
            before += (
                f"    Moments *moments = malloc(sizeof(Moments) * (own.rows * {max(self.gates, default=0)} + 1));\n"
            )
        return (
            f"void {name}(int threads, int T, int B, int H, int keep, Multiply *multiply, const int64_t *strides, "
            f"void **p) {{\n{arrays}    const Groups groups = {groups};\n"
            "#pragma omp parallel num_threads(groups.rows * groups.units)\n  {\n"
            f"    const Share own = share_of(groups, B, H);\n{before}    for ({steps}) {{\n"
            f"      const int64_t now = (int64_t)t * B, saved_at = keep ? now : 0;\n{body}    }}\n"
            f"{'    free(moments);' if self.trace.normalised else ''}\n  }}\n}}\n"
        ), used


def _place(row: Row, b: str) -> str:
    return f"{row.array}_ + ({row.at.format(b)}) * (int64_t)({row.size})"


def _first(row: Row) -> str:
    """Return the place of the first row of a thread."""
    return _place(row, "own.row")


def _multiply(gates: int, inner: str, z: str, number: int, step: str, u: str) -> str:
    """Return the product of a thread's rows with its units' part of U, or backwards of the transpose."""
    rows, units = "own.rows", "own.first, own.last"
    return f"      multiply({rows}, {gates}, H, {inner}, {z}, packed{number}_, {units}, 0, {step}, {u});\n"


def _names(name: str, text: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None

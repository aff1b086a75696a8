"""The loop over time of a traced step, compiled from C on first use, as one autograd function."""

# T time, B batch, H hidden; number of gates times H: G all gates, N those of a product

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from seqkit.contracts.batch import State
from seqkit.models.backends.compiled.build import library, missing_reason
from seqkit.models.backends.compiled.source import Source, write_source
from seqkit.models.backends.compiled.trace import OWN, Node, NotTracedError, Options, Trace, about, trace_step
from seqkit.models.backends.fused.c_loops import IN_C, address_of
from seqkit.models.backends.fused.input_projection import input_projection
from seqkit.models.projections import Projections
from seqkit.models.regularisation import ZoneoutMask
from seqkit.precision import full_precision

ROWS = 67, 71, 73, 79, 83, 89  # to trace with: two that no other size is
MOST_PROGRAMS = 16  # of a cell, whose attributes change


class Program(NamedTuple):
    """A step that can be compiled: its trace, and its C."""

    trace: Trace
    source: Source


_programs: WeakKeyDictionary[Any, dict[Any, Program | str]] = WeakKeyDictionary()  # of each cell, or the reason


def unavailable_reason(cell: Any, device: torch.device, options: Options) -> str:
    """Return why a cell's step cannot be compiled, going on from its name; empty if it can.

    Args:
        cell: Its ``step``.
        device: Of the parameters.
        options: Of the stack.
    """
    try:
        _program(cell, device, options)
    except NotTracedError as error:
        return str(error)
    return ""


def fingerprint(cell: Any, options: Options) -> str:
    """Return a hash of the compiled step, or why there is none: equal ones give equal bits on one processor."""
    try:
        source = _program(cell, torch.device("cpu"), options).source
        return library(source.text, options.dtype, type(cell).__name__)[1]
    except NotTracedError as error:
        return str(error)


def run_compiled(
    cell: Any, x_TBI: Tensor, projections: Projections, masks: Sequence[ZoneoutMask], state: State
) -> tuple[Tensor, ...]:
    """Run one direction of one layer; see ``run_reference`` for the arguments and the result.

    Raises:
        NotTracedError: The step cannot be compiled.
    """
    options = Options(
        state[0].shape[1],
        projections.gain_hh_R is not None,
        projections.mask_BH is not None,
        tuple(True if isinstance(mask, Tensor) else mask for mask in masks),
        projections.weights.bias_ih_G.dtype,
    )
    program = _program(cell, x_TBI.device, options)
    compiled, _ = library(program.source.text, options.dtype, type(cell).__name__)
    x_TBG = input_projection(projections, x_TBI, False, True)
    own = {f"{OWN}{key}": part for key, part in (*cell.named_parameters(), *cell.named_buffers())}
    weights = []
    with full_precision(torch.device("cpu")):
        for number, gates in enumerate(program.trace.gates):
            part = projections.recurrent(gates)
            own[f"bias{number}"] = part.bias
            if part.gain is not None:
                own[f"gain{number}"] = part.gain
            if part.weight.dim() == 1:
                own[f"weight{number}"] = part.weight
            else:
                weights.append(part.weight)
        arrays = {f"zoneout{n}": mask for n, mask in enumerate(masks) if isinstance(mask, Tensor)}
        if projections.mask_BH is not None:
            arrays["mask"] = projections.mask_BH
        names = tuple(name for name in own if name in program.trace.shapes)
        parameters = (own[name] for name in names)
        keep = torch.is_grad_enabled()
        return _Loop.apply(program, compiled, names, arrays, keep, x_TBG, *state, *weights, *parameters)


def _program(cell: Any, device: torch.device, options: Options) -> Program:
    """Return the program of a cell, made at its first call with these options, or raise ``NotTracedError``."""
    if device.type != "cpu":
        raise NotTracedError("is compiled for a CPU only")
    known, key = _programs.setdefault(cell, {}), (options, about(cell))
    if key not in known:
        if len(known) >= MOST_PROGRAMS:
            raise NotTracedError("changes too often to be compiled")
        known[key] = missing_reason(options.dtype) or _made(cell, options)
    found = known[key]
    if isinstance(found, str):
        raise NotTracedError(found)
    return found


def _made(cell: Any, options: Options) -> Program | str:
    sizes = {options.hidden_size, *(size for part in (*cell.parameters(), *cell.buffers()) for size in part.shape)}
    some = [rows for rows in ROWS if rows not in sizes]
    try:
        traces = [trace_step(cell, options, rows) for rows in some[:2]]
        sources = [write_source(trace) for trace in traces]
    except NotTracedError as error:
        return str(error)
    if len(sources) < 2 or sources[0].text != sources[1].text:
        return "does another thing at each call, or with another number of rows"
    return Program(traces[0], sources[0])


class _Loop(torch.autograd.Function):
    """(x, states, weights of the products, parameters) -> each state after every step."""

    @staticmethod
    def forward(
        ctx: Any,
        program: Program,
        compiled: ctypes.CDLL,
        names: tuple[str, ...],
        given: dict[str, Tensor],
        keep: bool,
        x_TBG: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        trace, source = program.trace, program.source
        (T, B, _), S, products = x_TBG.shape, len(trace.new), len(trace.z)
        state, weights, parameters = tensors[:S], tensors[S : S + products], tensors[S + products :]

        def buffer(size: int, kept: bool = True) -> Tensor:
            return x_TBG.new_empty(T if keep and kept else 1, B, size)

        arrays = {"x": x_TBG, **given}
        for n, part in enumerate(state):
            arrays[f"states{n}"] = part.new_empty(T + 1, *part.shape)
            arrays[f"states{n}"][0] = part
        for n, part in enumerate(_evaluated(source.constants, dict(zip(names, parameters, strict=True)), x_TBG)):
            arrays[f"constant{n}"] = part.to(x_TBG.dtype).contiguous()
        for n, (weight, width) in enumerate(zip(weights, source.widths, strict=True)):
            arrays[f"packed{n}"] = IN_C.packed(weight, True, n)
            scales = width // trace.hidden_size if trace.normalised else 0
            arrays[f"u{n}"] = buffer(width + scales, n in source.read_again)
            if source.argument[n] is None:
                arrays[f"z{n}"] = buffer(trace.hidden_size)
        arrays |= {part.name: buffer(part.size) for part in source.saved}
        _call(compiled.forward, (T, B, trace.hidden_size, keep), [arrays[name] for name in source.forward], x_TBG.dtype)
        if keep:
            needed = {name: part for name, part in arrays.items() if name in (*source.backward, *_arguments(source))}
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(*weights, *parameters, *needed.values())
            ctx.program, ctx.compiled, ctx.names, ctx.arrays = program, compiled, names, tuple(needed)
            ctx.sizes = T, B
        return tuple(arrays[f"states{n}"][1:] for n in range(S))

    @staticmethod
    def backward(ctx: Any, *d_out: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("model.backend=compiled cannot be differentiated twice (create_graph=True)")
        trace, source, (T, B) = ctx.program.trace, ctx.program.source, ctx.sizes
        products, saved = len(trace.z), list(ctx.saved_tensors)
        weights, parameters = saved[:products], saved[products : products + len(ctx.names)]
        arrays = dict(zip(ctx.arrays, saved[products + len(ctx.names) :], strict=True))
        like = next(part for part in d_out if part is not None)
        arrays["d_x"] = like.new_empty(T, B, trace.shapes["x"][1]) if "d_x" in source.backward else None
        strides = []
        for n, d in enumerate(d_out):
            shape = trace.shapes[f"state{n}"][1:]
            d = like.new_zeros(1, 1, *shape).expand(T, B, *shape) if d is None else d
            arrays[f"d_out{n}"] = d if d[0, 0].is_contiguous() else d.contiguous()
            strides += arrays[f"d_out{n}"].stride()[:2]
            arrays[f"d_state{n}"], arrays[f"d_old{n}"] = (like.new_zeros(B, *shape) for _ in range(2))
        for n, (weight, width) in enumerate(zip(weights, source.widths, strict=True)):
            arrays[f"packed{n}"] = IN_C.packed(weight, False, n)
            arrays[f"d_u{n}"] = (like.new_zeros if trace.d_u[n] is None else like.new_empty)(T, B, width)
            arrays[f"d_n{n}"] = like.new_empty(B, width if trace.normalised else 0)
            arrays[f"d_z{n}"] = like.new_zeros(B, trace.hidden_size)
        arrays |= {f"sum{n}": like.new_zeros(B, *node.shape[1:]) for n, node in enumerate(source.sums)}
        taken = [arrays[name] for name in source.backward]
        _call(ctx.compiled.backward, (T, B, trace.hidden_size, True), taken, like.dtype, strides)
        d_x, d_parameters = _summed(trace, source, arrays, dict(zip(ctx.names, parameters, strict=True)))
        d_states = (arrays[f"{'d_old' if T % 2 else 'd_state'}{n}"] for n in range(len(trace.new)))
        first = 6 + len(trace.new)
        d_weights = (
            _weight_gradient(arrays[f"d_u{n}"], arrays[name][:T]) if needed else None
            for n, (name, needed) in enumerate(zip(_arguments(source), ctx.needs_input_grad[first:], strict=False))
        )
        return None, None, None, None, None, d_x, *d_states, *d_weights, *d_parameters


def _arguments(source: Source) -> list[str]:
    """Return the name of the array that has the argument of each product at every step."""
    return [f"z{n}" if state is None else f"states{state}" for n, state in enumerate(source.argument)]


def _weight_gradient(d_TBN: Tensor, z_TBH: Tensor) -> Tensor:
    return (z_TBH.flatten(0, 1).t() @ d_TBN.flatten(0, 1)).t()


def _summed(
    trace: Trace, source: Source, arrays: Mapping[str, Any], parameters: dict[str, Tensor]
) -> tuple[Tensor | None, list[Tensor | None]]:
    """Return the gradients of x, and of the parameters: made from sums over all steps and rows."""
    sums = {node: arrays[f"sum{n}"].sum(0, keepdim=True) for n, node in enumerate(source.sums)}
    if not trace.normalised:
        sums |= {node: arrays[f"d_u{n}"].sum((0, 1))[None] for n, node in enumerate(trace.d_u) if node is not None}
    d_x = arrays["d_x"]
    if trace.d_x is not None:
        d_x = arrays[f"d_u{trace.d_u.index(trace.d_x)}"] if d_x is None else d_x
        sums[trace.d_x] = d_x.sum((0, 1))[None]
    wanted = [trace.d_parameters.get(name) for name in parameters]
    like = next(iter(parameters.values()), None)
    found = iter(_evaluated([node for node in wanted if node is not None], parameters, like, sums))
    return d_x, [None if node is None else next(found) for node in wanted]


def _evaluated(
    nodes: Sequence[Node], parameters: dict[str, Tensor], like: Tensor | None, sums: dict[Node, Tensor] | None = None
) -> list[Tensor]:
    """Return values that have no rows, from the parameters and the sums of values that have.

    Args:
        nodes: The values.
        parameters: By name.
        like: For the device of those that are made from nothing.
        sums: Sums over steps and rows (1, ...) of the values that have them.
    """
    known: dict[Node, Any] = dict(sums or {})

    def value(node: Any) -> Any:
        if not isinstance(node, Node):
            return like.device if isinstance(node, torch.device) and like is not None else node
        if node not in known:
            if node.name:
                known[node] = parameters[node.name].detach()
            else:
                kwargs = {key: value(part) for key, part in node.kwargs.items() if key != "output"}
                found = node.op(*tree_map(value, node.args), **kwargs)
                known[node] = found[node.kwargs["output"]] if "output" in node.kwargs else found
        return known[node]

    with torch.no_grad():
        return [value(node) for node in nodes]


def _call(
    function: Any,
    sizes: tuple[int, int, int, bool],
    arrays: Sequence[Tensor],
    dtype: torch.dtype,
    strides: Sequence[int] = (),
) -> None:
    """Call a function of a library; see ``source`` for its arguments."""
    addresses = (ctypes.c_void_p * len(arrays))(*(address_of(part).value for part in arrays))
    steps = (ctypes.c_int64 * len(strides))(*strides)
    function(torch.get_num_threads(), *map(int, sizes), IN_C.product(dtype), steps, addresses)

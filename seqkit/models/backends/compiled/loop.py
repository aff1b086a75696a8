"""The loop over time of a traced step, compiled from C on first use, as one autograd function."""

# T time, B batch, H hidden; number of gates times H: G all gates, N those of a product

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils._pytree import tree_map

from seqkit.contracts.batch import State
from seqkit.models.backends.compiled.build import library, missing_reason
from seqkit.models.backends.compiled.source import Source, write_source
from seqkit.models.backends.compiled.trace import OWN, Node, NotTracedError, Options, Trace, attributes, trace_step
from seqkit.models.projections import Projections
from seqkit.models.regularisation import ZoneoutMask

ROWS = 7, 11, 13, 17, 19, 23, 29, 31  # to trace with: two that no other size is
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
    if device.type != "cpu":
        return "is compiled for a CPU only"
    program = _program(cell, options)
    return program if isinstance(program, str) else ""


def run_compiled(
    cell: Any, x_TBI: Tensor, projections: Projections, masks: Sequence[ZoneoutMask], state: State
) -> tuple[Tensor, ...]:
    """Run one direction of one layer; see ``run_reference`` for the arguments and the result.

    Raises:
        NotTracedError: The step cannot be compiled.
    """
    x_TBG = projections.step_inputs(x_TBI)
    options = Options(
        state[0].shape[1],
        projections.gain_hh_R is not None,
        projections.mask_BH is not None,
        tuple(True if isinstance(mask, Tensor) else mask for mask in masks),
        x_TBG.dtype,
    )
    program = "is compiled for a CPU only" if x_TBI.device.type != "cpu" else _program(cell, options)
    if isinstance(program, str):
        raise NotTracedError(program)
    compiled = library(program.source.text, options.dtype, type(cell).__name__)
    own = {f"{OWN}{key}": part for key, part in (*cell.named_parameters(), *cell.named_buffers())}
    weights, parameters = [], {}
    with torch.autocast(x_TBI.device.type, enabled=False):
        for number, gates in enumerate(program.trace.gates):
            part = projections.recurrent(gates)
            parameters[f"bias{number}"] = part.bias
            if part.gain is not None:
                parameters[f"gain{number}"] = part.gain
            if part.weight.dim() == 1:
                parameters[f"weight{number}"] = part.weight
            else:
                weights.append(part.weight)
        names = [name for name in program.trace.shapes if name in own or name in parameters]
        values = [parameters.get(name, own.get(name)) for name in names]
        count = len(state), len(weights), torch.is_grad_enabled()
        given = program, compiled, names, masks, projections.mask_BH, count
        states = _Loop.apply(*given, x_TBG, *state, *weights, *values)
    if torch.is_grad_enabled():
        for part_TBH in states:
            if part_TBH.requires_grad:
                part_TBH.register_hook(_refuse_double_backward)
    return states


def _refuse_double_backward(grad: Tensor) -> None:
    if torch.is_grad_enabled():
        raise RuntimeError(
            "a compiled step cannot be differentiated twice (create_graph=True); use model.backend=reference"
        )


def _program(cell: Any, options: Options) -> Program | str:
    """Return the program of a cell, made at its first call with these options, or why there is none."""
    known = _programs.setdefault(cell, {})
    key = options, attributes(cell)
    if key not in known:
        if len(known) >= MOST_PROGRAMS:
            return "changes too often to be compiled"
        known[key] = missing_reason(options.dtype) or _made(cell, options)
    return known[key]


def _made(cell: Any, options: Options) -> Program | str:
    sizes = {size for part in (*cell.parameters(), *cell.buffers()) for size in part.shape}
    some = [rows for rows in ROWS if rows not in sizes and rows % options.hidden_size]
    try:
        traces = [trace_step(cell, options, rows) for rows in some[:2]]
        one, other = (write_source(trace) for trace in traces)
        if one.text != other.text:
            raise NotTracedError("does another thing at each call, or with another number of rows")
        return Program(traces[0], one)
    except NotTracedError as error:
        return str(error)


class _Loop(torch.autograd.Function):
    """(x, states, weights of the products, parameters) -> each state after every step."""

    @staticmethod
    def forward(
        ctx: Any,
        program: Program,
        library: ctypes.CDLL,
        names: list[str],
        masks: Sequence[ZoneoutMask],
        mask_BH: Tensor | None,
        count: tuple[int, int, bool],
        x_TBG: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        trace, source = program.trace, program.source
        (states, products, keep), (T, B, _) = count, x_TBG.shape
        state, weights = tensors[:states], [weight.contiguous() for weight in tensors[states : states + products]]
        parameters = dict(zip(names, (part.detach() for part in tensors[states + products :]), strict=True))
        hs = [part.new_empty(T + 1, *part.shape) for part in state]
        for every, part in zip(hs, state, strict=True):
            every[0] = part

        def buffer(size: int) -> Tensor:
            return x_TBG.new_empty(T if keep else 1, B, size)

        constants = _evaluated(source.constants, parameters, x_TBG)
        given = [x_TBG.contiguous(), *hs, *(mask.contiguous() for mask in masks if isinstance(mask, Tensor))]
        given += [] if mask_BH is None else [mask_BH.contiguous()]
        given += [part.to(x_TBG.dtype).contiguous() for part in constants]
        given += weights
        us = [buffer(width) for width in source.widths]
        scales = [buffer(width // trace.hidden_size) for width in source.widths] if trace.normalised else []
        zs = [buffer(z.shape[1]) for z, number in zip(trace.z, source.argument, strict=True) if number is None]
        given += [*us, *scales, *zs, *(buffer(part.size) for part in source.saved)]
        _call(library.forward, B, (T, B, trace.hidden_size, keep), given)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*given, *parameters.values())
        ctx.program, ctx.library, ctx.names, ctx.states = program, library, names, states
        ctx.given, ctx.zs = len(given), len(given) - len(source.saved) - len(zs)
        return tuple(every[1:] for every in hs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_out: Tensor | None) -> tuple[Tensor | None, ...]:
        program = ctx.program
        trace, source = program.trace, program.source
        given, parameters = list(ctx.saved_tensors[: ctx.given]), ctx.saved_tensors[ctx.given :]
        x_TBG, hs = given[0], given[1 : 1 + ctx.states]
        T, B, _ = x_TBG.shape
        d_us = [
            (x_TBG.new_zeros if node is None else x_TBG.new_empty)(T, B, width)
            for node, width in zip(trace.d_u, source.widths, strict=True)
        ]
        d_zs = [x_TBG.new_zeros(B, z.shape[1]) for z in trace.z]
        sums = [x_TBG.new_zeros(B, *node.shape[1:]) for node in source.sums]
        d_x = None
        if trace.d_x is not None and trace.d_x not in trace.d_u:
            d_x = torch.empty_like(x_TBG)
        carried = [torch.zeros_like(part[0]) for part in hs]
        others = [torch.zeros_like(part[0]) for part in hs]
        own = [None if part is None else part.contiguous() for part in d_out]
        _call(
            ctx.library.backward,
            B,
            (T, B, trace.hidden_size),
            [*given, *([] if d_x is None else [d_x]), *own, *carried, *others, *d_us, *d_zs, *sums],
        )
        d_states = others if T % 2 else carried
        return (None,) * 6 + _gradients(
            ctx, trace, source, hs, given, d_us, d_x, d_states, sums, dict(zip(ctx.names, parameters, strict=True))
        )


def _gradients(
    ctx: Any,
    trace: Trace,
    source: Source,
    hs: list[Tensor],
    given: list[Tensor],
    d_us: list[Tensor],
    d_x: Tensor | None,
    d_states: list[Tensor],
    sums: list[Tensor],
    parameters: dict[str, Tensor],
) -> tuple[Tensor | None, ...]:
    """Return the gradients of x, the states, the weights (each one product for all steps) and the parameters."""
    buffers = dict(zip(source.sums, (part.sum(0, keepdim=True) for part in sums), strict=True))
    for node, d_TBN in zip(trace.d_u, d_us, strict=True):
        if node is not None and not trace.normalised:
            buffers[node] = d_TBN.sum((0, 1))[None]
    if trace.d_x is not None:
        d_x = d_us[trace.d_u.index(trace.d_x)] if d_x is None else d_x
        buffers[trace.d_x] = d_x.sum((0, 1))[None]
    zs = iter(given[ctx.zs :])
    d_weights = []
    for number, d_TBN in zip(source.argument, d_us, strict=True):
        z_TBK = next(zs) if number is None else hs[number][:-1]
        d_weights.append(d_TBN.flatten(0, 1).t() @ z_TBK.flatten(0, 1))
    wanted = [trace.d_parameters.get(name) for name in ctx.names]
    nodes = [node for node in wanted if node is not None]
    found = iter(_evaluated(nodes, parameters, d_us[0] if d_us else hs[0], buffers))
    return (d_x, *d_states, *d_weights, *(None if node is None else next(found) for node in wanted))


def _evaluated(
    nodes: Sequence[Node], parameters: dict[str, Tensor], like: Tensor, sums: dict[Node, Tensor] | None = None
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
            return node if not isinstance(node, torch.device) else like.device
        if node not in known:
            if node.name:
                known[node] = parameters[node.name]
            else:
                kwargs = {key: value(part) for key, part in node.kwargs.items() if key != "output"}
                found = node.op(*tree_map(value, node.args), **kwargs)
                known[node] = found[node.kwargs["output"]] if "output" in node.kwargs else found
        return known[node]

    with torch.no_grad():
        return [value(node) for node in nodes]


def _call(function: Any, rows: int, sizes: tuple[int, ...], tensors: Sequence[Tensor | None]) -> None:
    """Call a function of a library with its threads, sizes and the addresses of tensors (None: NULL)."""
    addresses = (ctypes.c_void_p * len(tensors))(*(None if part is None else part.data_ptr() for part in tensors))
    *numbers, last = sizes
    keep = [ctypes.c_int(last)] if len(sizes) == 4 else [ctypes.c_int64(last)]
    threads = max(1, min(torch.get_num_threads(), rows))
    function(ctypes.c_int(threads), *map(ctypes.c_int64, numbers), *keep, addresses)

"""The reference backend's step, compiled by torch.compile: one graph of one step, never of the unrolled sequence."""

# B batch, H hidden, N some gates (their number times H)

import logging
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from seqkit.contracts.batch import State
from seqkit.errors import ConfigError
from seqkit.models.cell import left_unchanged
from seqkit.models.deferred import append_argument, deferred_bias
from seqkit.models.projections import GateNames, Projection, Projections

LOG = logging.getLogger("seqkit")
_called: set[tuple[type, bool]] = set()
_products: WeakKeyDictionary[Any, list[tuple[int, GateNames]]] = WeakKeyDictionary()  # of each cell


def compiled_step(cell: Any, projections: Projections, x: Tensor, state: State, steps: int) -> Callable[..., State]:
    """Return the compiled stand-in for ``cell.step`` in one call of the reference backend.

    The products of a step are found in a first one, without gradients; every step must have the same.

    Args:
        cell: Its ``step`` is compiled.
        projections: Of the gates.
        x: First argument of the first step.
        state: Before it.
        steps: Number of steps of the call.

    Raises:
        ConfigError: torch.compile does not work here, or not for this step.
    """
    if cell not in _products:
        _products[cell] = _products_of(cell, projections, x, state)
    calls, available = _products[cell], projections.step_projections
    parts = [available[number](gate) for number, gate in calls]
    deferred = [deferred_bias(part, steps, len(x)) for part in parts]
    biases = iter(zip(*(bias_TBG.unbind(0) for _, bias_TBG in deferred), strict=True) if deferred else [()] * steps)

    def step(x: Tensor, *others: Any) -> State:
        new, made, multiplied = _first_call(cell, parts, next(biases), len(available), x, others[-1])
        if made != calls:
            raise ConfigError(
                f"model.compile=true: {type(cell).__name__}.step takes other products at one step than at another; "
                "set model.compile=false"
            )
        for (arguments, _), h_BH in zip(deferred, multiplied, strict=True):
            append_argument(arguments, h_BH)
        return new

    return step


def _products_of(cell: Any, projections: Projections, x: Tensor, state: State) -> list[tuple[int, GateNames]]:
    """Return the number in ``step_projections`` and the gates of each product, in the order of the calls."""
    calls: list[tuple[int, GateNames]] = []

    def noted(number: int) -> Callable[..., Tensor]:
        def product(z_BH: Tensor, gate: GateNames = None) -> Tensor:
            calls.append((number, gate))
            return projections.step_projections[number](gate).apply(z_BH)

        return product

    with torch.no_grad(), torch.random.fork_rng(), left_unchanged(cell):
        cell.step(x, *map(noted, range(len(projections.step_projections))), state)
    return calls


def _first_call(cell: Any, *arguments: Any) -> tuple[State, list[tuple[int, GateNames]], list[Tensor]]:
    """Run the compiled step; say how long its first call took."""
    key = type(cell), torch.is_grad_enabled()
    if key in _called:
        return _compiled()(cell, *arguments)
    started = time.monotonic()
    try:
        found = _compiled()(cell, *arguments)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(f"model.compile=true: torch.compile fails on {type(cell).__name__}.step: {reason}") from error
    _called.add(key)
    LOG.info("compiled %s.step: the first call took %.1f s", type(cell).__name__, time.monotonic() - started)
    return found


@cache
def _compiled() -> Callable[..., Any]:
    return torch.compile(_step)


def _step(
    cell: Any, parts: list[Projection], biases: tuple[Tensor, ...], kinds: int, x: Tensor, state: State
) -> tuple[State, list[tuple[int, GateNames]], list[Tensor]]:
    """Return the next state, kind and gates of each product, and its argument."""
    made: list[tuple[int, GateNames]] = []
    multiplied: list[Tensor] = []

    def product_of(number: int) -> Callable[..., Tensor]:
        def next_product(z_BH: Tensor, gate: GateNames = None) -> Tensor:
            part, bias_BN = parts[len(made)], biases[len(made)]
            made.append((number, gate))
            multiplied.append(part.masked(z_BH))
            return part.finish(part.fixed_product()(multiplied[-1], bias_BN))

        return next_product

    new = cell.step(x, *[product_of(number) for number in range(kinds)], state)
    return new, made, multiplied

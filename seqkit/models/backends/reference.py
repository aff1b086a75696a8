"""The reference backend: a loop over a cell's ``step``, against which the other backends are tested."""

# T time, B batch, I input, H hidden

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import State
from seqkit.errors import PluginError
from seqkit.models.deferred import refuse_double_backward
from seqkit.models.projections import Projections
from seqkit.models.regularisation import ZoneoutMask, apply_zoneout
from seqkit.padding import stacked
from seqkit.precision import full_precision


class StepError(Exception):
    """A reason why a faster backend cannot run a step, in words that follow the name of the cell."""


def run_reference(
    cell: Any,
    x_TBI: Tensor,
    projections: Projections,
    masks: Sequence[ZoneoutMask],
    state: State,
) -> tuple[Tensor, ...]:
    """Run one direction of one layer.

    Args:
        cell: Its ``step`` and the names of its states.
        x_TBI: Input, finite in the padding too.
        projections: Of the gates.
        masks: Zoneout mask of each state.
        state: Before the first step, one (B, H), or (B, *its own shape), per state name.

    Returns:
        Each state after every step, (T, B, H), or with the shape of its own in the place of H.

    Raises:
        PluginError: The step returned something other than the next state.
    """
    zoneout = any(mask is not None for mask in masks)
    inputs = projections.step_inputs(x_TBI)
    every = []
    with full_precision(x_TBI.device):
        products = projections.step_products(inputs.shape[0])
        for t, x in enumerate(inputs.unbind(0)):
            new = cell.step(x, *products, state)
            if t == 0:
                check_state(cell, new, state)
            if zoneout:
                new = tuple(
                    apply_zoneout(mask, t, part, old) for mask, part, old in zip(masks, new, state, strict=True)
                )
            state = new
            every.append(state)
    states = tuple(stacked(parts) for parts in zip(*every, strict=True))
    if torch.is_grad_enabled() and projections.needs_deferring:
        for part_TBH in states:
            if part_TBH.requires_grad:
                part_TBH.register_hook(refuse_double_backward)
    return states


def check_state(cell: Any, new: Any, old: State) -> None:
    """Refuse what a step returned if it is not the next state.

    Raises:
        PluginError: It is no tuple of tensors, or one has another shape, dtype or device than before.
    """
    name, states = type(cell).__name__, cell.states
    if not isinstance(new, tuple) or len(new) != len(states):
        got = f"{len(new)} values" if isinstance(new, tuple) else type(new).__name__
        raise PluginError(f"{name}.step returned {got}; it must return a tuple of {', '.join(states)}")
    for state, part, before in zip(states, new, old, strict=True):
        if not isinstance(part, Tensor):
            raise PluginError(f"{name}.step returned {type(part).__name__} for the state '{state}', not a tensor")
        for what in ("shape", "dtype", "device"):
            given, due = getattr(part, what), getattr(before, what)
            if given != due:
                given, due = (tuple(value) if what == "shape" else value for value in (given, due))
                raise PluginError(f"{name}.step returned the state '{state}' with {what} {given}, not {due}")

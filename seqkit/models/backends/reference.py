"""The plain loop over a cell's ``step``: the reference for the faster loops, and the one that every cell has."""

# T time, B batch, I input, H hidden

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import State
from seqkit.errors import PluginError
from seqkit.models.backends.torch_compile import compiled_step
from seqkit.models.projections import Halves, once
from seqkit.models.regularisation import Kept, mix


def stepwise(
    cell: Any, x_TBI: Tensor, halves: Halves, kept: Sequence[Kept], state: State, compile: bool = False
) -> tuple[Tensor, ...]:
    """Run one direction of one layer.

    Args:
        cell: Its ``step`` and the names of its states.
        x_TBI: Input, finite in the padding too.
        halves: Of the gates.
        kept: What zoneout keeps of each state.
        state: Before the first step, one (B, H) a state name.
        compile: Whether to compile the step.

    Returns:
        Each state after every step, (T, B, H).

    Raises:
        PluginError: The step returned something else than the next state.
        ConfigError: The step cannot be compiled.
    """
    zoneout = any(one is not None for one in kept)
    x_TBG = halves.input_half(x_TBI)
    every = []
    with torch.autocast(x_TBI.device.type, enabled=False):
        recur = halves.recurrent_half(len(x_TBG))
        step = compiled_step(cell, halves, x_TBG[0], state, len(x_TBG)) if compile else cell.step
        for t, x_BG in enumerate(x_TBG.unbind(0)):
            new = step(x_BG, recur, state)
            if t == 0:
                _check(cell, new, state)
            if zoneout:
                new = tuple(mix(one, t, part, old) for one, part, old in zip(kept, new, state, strict=True))
            state = new
            every.append(state)
    states = tuple(torch.stack(parts) for parts in zip(*every, strict=True))
    if torch.is_grad_enabled() and halves.weights.weight_GH.requires_grad:
        for part_TBH in states:
            if part_TBH.requires_grad:
                part_TBH.register_hook(once)
    return states


def _check(cell: Any, new: Any, old: State) -> None:
    name, states = type(cell).__name__, cell.states
    if not isinstance(new, tuple) or len(new) != len(states):
        got = f"{len(new)} values" if isinstance(new, tuple) else type(new).__name__
        raise PluginError(f"{name}.step returned {got}; it must return a tuple of {', '.join(states)}")
    for state, part, before in zip(states, new, old, strict=True):
        if not isinstance(part, Tensor):
            raise PluginError(f"{name}.step returned {type(part).__name__} for the state '{state}', not a tensor")
        given, due = _facts(part), _facts(before)
        for what in given:
            if given[what] != due[what]:
                raise PluginError(
                    f"{name}.step returned the state '{state}' with {what} {given[what]}, not {due[what]}"
                )


def _facts(part: Tensor) -> dict[str, Any]:
    return {"shape": tuple(part.shape), "dtype": part.dtype, "device": part.device}

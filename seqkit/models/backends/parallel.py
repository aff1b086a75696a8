"""The parallel backend: the states of many steps at once, for a cell whose units see of the last state only themselves.

The states of all steps are the unknowns of one system of equations, s_t = step(x_t, s_{t-1}). Newton's method solves it
(DEER, Lim et al. 2024; ParaRNN, Danieli et al. 2025, arXiv:2510.21450): the step is taken at all t at once from the
last iterate, and what it differs by from that, and its Jacobians, make a linear recurrence for the correction. With a
diagonal recurrence the Jacobian is a small matrix per unit, S x S for S states. Transposed, the same recurrence gives
the gradient of every state, and one ordinary backward pass through the step at all t those of inputs and weights.
"""

# S states of the cell, T time, B batch, I input, H hidden; W steps solved at once, K patterns of units
# G all gates of the cell together (their number times H), X = G, or I for a cell that wants x

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import State
from seqkit.models.backends.linear_recurrence import solve, solve_transposed
from seqkit.models.backends.reference import StepError, check_state
from seqkit.models.projections import GateNames, Projection, Projections
from seqkit.models.regularisation import ZoneoutMask, apply_zoneout
from seqkit.precision import full_precision

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14}
"""Largest difference, relative to 1 + |s|, between the states and one step from those before them, by dtype."""
ITERATIONS = 20
"""Iterations of Newton's method at most; where the recurrence forgets it takes 2 to 6."""
IN_CACHE = 2**20
"""Bytes of a state's values that are solved for at once on a CPU; a GPU has use for the whole sequence."""
SHORTEST = 64
"""Steps that are solved for at once at the fewest: where Newton's method fails, half as many are tried."""


class NotSolved(StepError):  # noqa: N818 - no error: the reference backend runs instead
    """A reason why the steps cannot be computed at once, in words that follow the name of the cell."""


def run_parallel(
    cell: Any, x_TBI: Tensor, projections: Projections, masks: Sequence[ZoneoutMask], state: State
) -> tuple[Tensor, ...]:
    """Run one direction of a layer; see ``run_reference`` for the arguments and the result.

    Raises:
        NotSolved: Newton's method fails, the gradient would be wrong, or there is no tolerance for the dtype.
        PluginError: The step returned something other than the next state.
    """
    inputs, system = projections.step_inputs(x_TBI), _System(cell, projections, masks)
    system.refuse_unknown(inputs.dtype)
    with full_precision(inputs.device):
        solved = _solved(system, inputs, state)
        if not torch.is_grad_enabled():
            return tuple(torch.cat([states[number, 1:] for states, _ in solved]) for number in range(len(state)))
        system.refuse_mixing(inputs[-1], solved[-1][0][:, -1])
        every, done = [], 0
        for x_WBX, (states, jacobian) in zip(inputs.split([s.shape[1] - 1 for s, _ in solved]), solved, strict=True):
            after = _Chained.apply(jacobian, *state, *system.steps(done, x_WBX, states[:, :-1].unbind(0)))
            state = tuple(part_WBH[-1] for part_WBH in after)
            every.append(after)
            done += len(x_WBX)
    return tuple(torch.cat(parts) for parts in zip(*every, strict=True))


@dataclass(frozen=True)
class _System:
    """The equations of one direction of a layer: its step, taken at many t at once."""

    cell: Any
    projections: Projections
    masks: Sequence[ZoneoutMask]

    def steps(self, first: int, x_WBX: Tensor, before: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return each state (W, B, H) after the steps from ``first`` on, each taken from the state before it."""
        projections, shape = self.projections, x_WBX.shape[:2]
        if projections.mask_BH is not None:
            projections = replace(projections, mask_BH=projections.mask_BH.repeat(shape[0], 1))
        products = [partial(_product, projection) for projection in projections.step_projections]
        rows = tuple(part_WBH.flatten(0, 1) for part_WBH in before)
        new = self.cell.step(x_WBX.flatten(0, 1), *products, rows)
        check_state(self.cell, new, rows)
        after = [part.unflatten(0, shape) for part in new]
        at = slice(first, first + shape[0])
        return tuple(apply_zoneout(mask, at, *pair) for mask, *pair in zip(self.masks, after, before, strict=True))

    def refuse_unknown(self, dtype: torch.dtype) -> None:
        """Refuse what cannot be differentiated, or has no tolerance."""
        if dtype not in TOLERANCE:
            raise NotSolved(f"runs in {dtype}, and only {' and '.join(map(str, TOLERANCE))} have a tolerance")
        own = *self.cell.parameters(), *self.cell.buffers(), *self.projections.weights, self.projections.mask_BH
        if any(isinstance(one, Tensor) and one.is_inference() for one in (*own, *self.masks)):
            raise NotSolved("has weights or masks made in inference mode, so no derivatives")

    def refuse_mixing(self, x_BX: Tensor, state_SBH: Tensor) -> None:
        """Refuse a step by which a unit sees another, or a row another: the Jacobians have no place for it.

        No unit of some may depend on any other. Each two units differ in a bit of their numbers, so it is enough to try
        the units that have a bit, and those that do not; each of these K patterns stands in a row of its own.
        """
        numbers_H = torch.arange(state_SBH.shape[2], device=x_BX.device)
        bits = range((len(numbers_H) - 1).bit_length())
        if not bits:
            return
        units_K1H = torch.stack([(numbers_H >> bit) % 2 == value for bit in bits for value in (0, 1)])[:, None]
        before = [part.detach().expand(len(units_K1H), *part.shape).requires_grad_() for part in state_SBH]
        free = replace(self, masks=[None] * len(before))
        after = free.steps(0, x_BX.detach().expand(len(units_K1H), *x_BX.shape), before)
        after = tuple(part.masked_fill(~units_K1H, 0) for part in after)
        for gradient in _gradients(after, before):
            if gradient is not None and gradient.masked_fill(units_K1H, 0).any():
                raise NotSolved("has a step in which units or rows see each other")


def _solved(system: _System, inputs: Tensor, state: State) -> list[tuple[Tensor, Tensor | None]]:
    """Return the states before and after each step (S, 1 + W, B, H) of pieces of the sequence, and their Jacobians.

    The latter are None where gradients are off.
    """
    differentiable, found, done = torch.is_grad_enabled(), [], 0
    size = len(inputs) if inputs.is_cuda else max(SHORTEST, IN_CACHE // (state[0].numel() * inputs.element_size()))
    start = torch.stack(state)
    with torch.inference_mode(False):  # autograd, which makes the Jacobians, takes no tensors of inference mode
        fixed = inputs.clone() if inputs.is_inference() else inputs.detach()
        while done < len(fixed):
            size = min(size, len(fixed) - done)
            try:
                found.append(_newton(system, done, fixed[done : done + size], start, differentiable))
            except NotSolved:
                if size <= SHORTEST:
                    raise
                size = max(SHORTEST, size // 2)
            else:
                start = found[-1][0][:, -1]
                done += size
    return found


def _newton(
    system: _System, first: int, x_WBX: Tensor, start_SBH: Tensor, differentiable: bool
) -> tuple[Tensor, Tensor | None]:
    """Return the states before and after each step (S, 1 + W, B, H), and the Jacobians of the steps if asked for."""
    states = x_WBX.new_empty(len(start_SBH), 1 + len(x_WBX), *start_SBH.shape[1:])
    with torch.no_grad():
        states[:, 0] = start_SBH
        from_start = states[:, :1].expand_as(states[:, 1:]).unbind(0)
        torch.stack(system.steps(first, x_WBX, from_start), out=states[:, 1:])
    for _ in range(ITERATIONS):
        before = [part.detach().requires_grad_() for part in states[:, :-1]]
        with torch.enable_grad():
            after = system.steps(first, x_WBX, before)
        with torch.no_grad():
            missing = torch.stack(after) - states[:, 1:]
            error = float((missing / states[:, 1:].abs().add_(1)).abs_().max())
        if not math.isfinite(error):
            raise NotSolved("leaves the range of numbers")
        if error <= TOLERANCE[x_WBX.dtype]:
            return states, _jacobian(after, before) if differentiable else None
        with torch.no_grad():
            states[:, 1:] += solve(_jacobian(after, before), missing)
    raise NotSolved(f"does not converge in {ITERATIONS} iterations")


def _jacobian(after: Sequence[Tensor], before: Sequence[Tensor]) -> Tensor:
    """Return the derivatives (S, S, W, B, H) of each state after a step by each before it."""
    found = after[0].new_zeros(len(after), len(before), *after[0].shape)
    for rows, part in zip(found, after, strict=True):
        for row, gradient in zip(rows, _gradients([part], before), strict=True):
            if gradient is not None:
                row.copy_(gradient)
    return found


def _gradients(after: Sequence[Tensor], before: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """Return the gradients of the sum of some states by those before; None where they are no function of these."""
    after = [part for part in after if part.requires_grad]
    if not after:
        return [None] * len(before)
    ones = [torch.ones_like(part) for part in after]
    return torch.autograd.grad(after, before, ones, retain_graph=True, allow_unused=True)


def _product(projection: Callable[[GateNames], Projection], z_NX: Tensor, gate: GateNames = None) -> Tensor:
    return projection(gate).apply(z_NX)


class _Chained(torch.autograd.Function):
    """Links states that were each computed from a constant: (Jacobians, state before, states after each step) -> these.

    Backwards, a state's gradient gets what comes through all later ones.
    """

    @staticmethod
    def forward(ctx: Any, jacobian_SSWBH: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(jacobian_SSWBH)
        return tuple(part.view_as(part) for part in states[len(jacobian_SSWBH) :])

    @staticmethod
    def backward(ctx: Any, *d: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("model.backend=parallel cannot be differentiated twice (create_graph=True)")
        (jacobian_SSWBH,) = ctx.saved_tensors
        g_SWBH = solve_transposed(jacobian_SSWBH, torch.stack(d))
        d_start_SBH = (jacobian_SSWBH[:, :, 0] * g_SWBH[:, None, 0]).sum(0)
        return None, *d_start_SBH, *g_SWBH

"""Deferred weight gradient: dL/dU (or dL/dW) of a loop over time as one product after the loop, not one per step."""

# T time, B batch, H hidden, G gates of the projection (their number times H)

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seqkit.errors import PluginError
from seqkit.models.once import once_differentiable
from seqkit.precision import full_precision

Arguments = list[tuple[Tensor, int]]
"""The h of each call, with its version then."""


def deferred_projection(projection: Any, steps: int, batch: int) -> Callable[[Tensor], Tensor]:
    """Return ``projection.apply``, with the gradient of U deferred where one is needed.

    Args:
        projection: A ``Projection``.
        steps: Expected number of calls.
        batch: Rows of each call.
    """
    if not (torch.is_grad_enabled() and projection.weight.requires_grad):
        return projection.apply
    arguments, bias_TBG = deferred_bias(projection, steps, batch)
    biases, product, plain = iter(bias_TBG.unbind(0)), projection.fixed_product(), projection.plain

    def apply(h_BH: Tensor) -> Tensor:
        bias_BG = next(biases, None)
        if bias_BG is None:  # more calls than were expected
            return projection.apply(h_BH)
        h_BH = h_BH if plain else projection.masked(h_BH)
        append_argument(arguments, h_BH)
        u_BG = product(h_BH, bias_BG)
        return u_BG if plain else projection.finish(u_BG)

    return apply


def append_argument(arguments: Arguments, h_BH: Tensor) -> None:
    """Note the h of a call."""
    arguments.append((h_BH.detach(), h_BH._version))


def refuse_double_backward(grad: Tensor) -> None:
    """Reject double backward through deferred weight gradients (a gradient hook)."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "a recurrent layer cannot be differentiated twice (create_graph=True) while its recurrent weights need "
            "gradients: U would be missing in the second derivative"
        )


def deferred_bias(projection: Any, steps: int, batch: int) -> tuple[Arguments, Tensor]:
    """Return the list to append each call's h to, and a bias per step (T, B, G) that routes dL/dU.

    The caller adds its step's bias to the product with the detached U and notes h by ``append_argument``. In the
    backward pass the gradients of all steps' biases meet, and with the noted h make the gradient of U.
    """
    arguments: Arguments = []
    bias_G = projection.bias if projection.gain is None else None
    return arguments, _DeferredGradient.apply(projection.weight, bias_G, arguments, steps, batch)


class _DeferredGradient(torch.autograd.Function):
    """(U, c) -> c for each step; backwards, the gate gradients of all steps give dL/dU in one matmul."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias_G: Tensor | None, arguments: Arguments, steps: int, batch: int
    ) -> Tensor:
        ctx.arguments, ctx.diagonal = arguments, weight.dim() == 1  # the arguments are filled in later
        bias_G = weight.new_zeros(len(weight)) if bias_G is None else bias_G.detach()
        return bias_G.expand(steps, batch, len(bias_G))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_TBG: Tensor) -> tuple[Tensor | None, ...]:
        if any(h_BH._version != version for h_BH, version in ctx.arguments):
            raise PluginError(
                "a cell's step changes in place what it gave to a product, so its gradient would be wrong"
            )
        d_NG, h_NH = d_TBG[: len(ctx.arguments)].flatten(0, 1), torch.cat([h_BH for h_BH, _ in ctx.arguments])
        with full_precision(d_NG.device):
            dweight = _weight_gradient(d_NG, h_NH, ctx.diagonal) if ctx.needs_input_grad[0] else None
        return dweight, d_NG.sum(0) if ctx.needs_input_grad[1] else None, None, None, None


def _weight_gradient(d_NG: Tensor, h_NH: Tensor, diagonal: bool) -> Tensor:
    if not diagonal:
        return d_NG.t() @ h_NH
    return torch.einsum("ngh,nh->gh", d_NG.unflatten(1, (-1, h_NH.shape[1])), h_NH).flatten()

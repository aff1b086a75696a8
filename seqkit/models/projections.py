"""The two halves of every gate, W x + b and U h + c, with what the stack's options make of them."""

# T time, B batch, I input, H hidden, G all gates of the cell together (their number times H)

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqkit.errors import PluginError, unknown

EPSILON = 1e-5  # added to the variance by layer normalisation


class Weights(NamedTuple):
    """Of one direction of a layer, in torch.nn's layout: one block of H rows a gate."""

    weight_GI: Tensor
    weight_GH: Tensor
    bias_ih_G: Tensor
    bias_hh_G: Tensor


@dataclass(frozen=True)
class Halves:
    """What a loop over time computes the gates from.

    Attributes:
        gates: Their names in the order of the rows.
        weights: As this call has them: after weight dropout, the projection multiplied into U.
        gain_ih_G: Of the layer normalisation of W x, None without; likewise ``gain_hh_G`` of U h.
        mask_BH: What the argument of every recurrent product is multiplied by (variational dropout), None for ones.
    """

    gates: Sequence[str]
    weights: Weights
    gain_ih_G: Tensor | None = None
    gain_hh_G: Tensor | None = None
    mask_BH: Tensor | None = None

    def input_half(self, x_TBI: Tensor, both_biases: bool = False) -> Tensor:
        """Return W x + b of all gates for all steps (T, B, G), in the dtype of the recurrence.

        Args:
            x_TBI: Input.
            both_biases: Add that of the recurrent half too, for a cell that only ever adds the halves.
        """
        weight_GI, weight_GH, bias_ih_G, bias_hh_G = self.weights
        bias_G = bias_ih_G + bias_hh_G if both_biases else bias_ih_G
        # Under autocast this product is in half precision; the recurrence is in the parameters' own, as errors add up.
        if self.gain_ih_G is None:
            return F.linear(x_TBI, weight_GI, bias_G).to(weight_GH.dtype)
        x_TBG = F.linear(x_TBI, weight_GI).to(weight_GH.dtype)
        return torch.addcmul(bias_G, normalise(x_TBG, len(self.gates)), self.gain_ih_G)

    def recurrent_half(self, steps: int) -> Callable[..., Tensor]:
        """Return the function from h_BH to U h + c: of all gates (B, G), or of the one that is named (B, H).

        Args:
            steps: How often it will be called, or so.
        """
        every: dict[str | None, Callable[[Tensor], Tensor]] = {}

        def recur(h_BH: Tensor, gate: str | None = None) -> Tensor:
            if gate not in every:
                every[gate] = _together(self.part(gate), steps, len(h_BH))
            return every[gate](h_BH)

        return recur

    def part(self, gate: str | None) -> "Part":
        """Return what the recurrent half of one gate, or of all, is computed from."""
        _, weight, _, bias = self.weights
        gain, count = self.gain_hh_G, len(self.gates)
        if gate is None:
            return Part(weight, bias, gain, self.mask_BH, count)
        if gate not in self.gates:
            raise unknown("gate", gate, self.gates)
        size = len(bias) // count
        rows = slice(self.gates.index(gate) * size, (self.gates.index(gate) + 1) * size)
        return Part(weight[rows], bias[rows], None if gain is None else gain[rows], self.mask_BH, 1)


class Part(NamedTuple):
    """What the recurrent half of one gate or several is computed from; see ``Halves``."""

    weight: Tensor
    bias: Tensor
    gain: Tensor | None
    mask_BH: Tensor | None
    number: int  # of gates

    def masked(self, h_BH: Tensor) -> Tensor:
        """Return what U is multiplied by."""
        return h_BH if self.mask_BH is None else h_BH * self.mask_BH

    def finish(self, u_BG: Tensor) -> Tensor:
        """Return the half for U h + b, or for U h where it is to be normalised."""
        return u_BG if self.gain is None else torch.addcmul(self.bias, normalise(u_BG, self.number), self.gain)

    def apply(self, h_BH: Tensor) -> Tensor:
        """Return the half for h_BH."""
        return self.finish(F.linear(self.masked(h_BH), self.weight, self.bias if self.gain is None else None))


def _together(part: Part, steps: int, batch: int) -> Callable[[Tensor], Tensor]:
    """Return ``part.apply``, whose gradient of U is one product for all calls, not one a call."""
    if not (torch.is_grad_enabled() and part.weight.requires_grad):
        return part.apply
    seen, room_TBG = slots(part, steps, batch)
    left, weight_HG, plain = iter(room_TBG.unbind(0)), part.weight.detach().t(), part.gain is part.mask_BH is None

    def apply(h_BH: Tensor) -> Tensor:
        slot_BG = next(left, None)
        if slot_BG is None:  # more calls than were expected
            return part.apply(h_BH)
        h_BH = h_BH if plain else part.masked(h_BH)
        see(seen, h_BH)
        u_BG = torch.addmm(slot_BG, h_BH, weight_HG)
        return u_BG if plain else part.finish(u_BG)

    return apply


Seen = list[tuple[Tensor, int]]
"""The h of each call, with the version that it had."""


def see(seen: Seen, h_BH: Tensor) -> None:
    """Remember the h of a call."""
    seen.append((h_BH.detach(), h_BH._version))


def once(grad: Tensor) -> None:
    """Refuse a second derivative: a hook for what is computed from products whose U has its gradient by ``slots``."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "a recurrent layer cannot be differentiated twice (create_graph=True) while its recurrent weights need "
            "gradients: U would be missing in the second derivative"
        )


def slots(part: Part, steps: int, batch: int) -> tuple[Seen, Tensor]:
    """Return an empty list and what to add to each call's product without gradient of U (T, B, G).

    The caller puts the h of each call into the list by ``see``; the gradient of U is taken from all of them together.
    """
    seen: Seen = []
    return seen, _Slots.apply(part.weight, part.bias if part.gain is None else None, seen, steps, batch)


class _Slots(torch.autograd.Function):
    """b for each call of a product U h + b, in whose gradient that of the product arrives for all calls together."""

    @staticmethod
    def forward(ctx: Any, weight_GH: Tensor, bias_G: Tensor | None, seen: Seen, steps: int, batch: int) -> Tensor:
        ctx.seen = seen  # filled in later
        bias_G = weight_GH.new_zeros(len(weight_GH)) if bias_G is None else bias_G.detach()
        return bias_G.expand(steps, batch, len(bias_G))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_TBG: Tensor) -> tuple[Tensor | None, ...]:
        if any(h_BH._version != version for h_BH, version in ctx.seen):
            raise PluginError("a cell's step changes in place what it gave to recur, so its gradient would be wrong")
        d_NG, h_NH = d_TBG[: len(ctx.seen)].flatten(0, 1), torch.cat([h_BH for h_BH, _ in ctx.seen])
        with torch.autocast(d_NG.device.type, enabled=False):
            dweight_GH = d_NG.t() @ h_NH if ctx.needs_input_grad[0] else None
        return dweight_GH, d_NG.sum(0) if ctx.needs_input_grad[1] else None, None, None, None


def normalise(a_BG: Tensor, gates: int) -> Tensor:
    """Bring the H values of each gate of each row to mean 0 and variance 1 (layer normalisation, Ba et al. 2016)."""
    a_BgH = a_BG.unflatten(-1, (gates, -1))
    return F.layer_norm(a_BgH, a_BgH.shape[-1:], eps=EPSILON).flatten(-2)

"""Input and recurrent projection of the gates, W x + b and U h + c, under the options of the stack."""

# T time, B batch, I input, H hidden, G all gates of the cell together (their number times H)

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from seqkit.errors import unknown
from seqkit.models.deferred import deferred_projection

EPSILON = 1e-5  # added to the variance by layer normalisation


class Weights(NamedTuple):
    """Weights of one direction of a layer, in torch.nn's layout: one block of H rows per gate."""

    weight_GI: Tensor
    weight_GH: Tensor
    bias_ih_G: Tensor
    bias_hh_G: Tensor


@dataclass(frozen=True)
class Projections:
    """Input and recurrent projection of one direction of a layer, as one call has them.

    Attributes:
        gates: Their names in the order of the rows.
        weights: After weight dropout, with a hidden state's projection multiplied into U.
        gain_ih_G: Of the layer normalisation of W x, None without; likewise ``gain_hh_G`` of U h.
        mask_BH: Factor of the argument of every recurrent product (variational dropout), None for ones.
    """

    gates: Sequence[str]
    weights: Weights
    gain_ih_G: Tensor | None = None
    gain_hh_G: Tensor | None = None
    mask_BH: Tensor | None = None

    def input_projection(self, x_TBI: Tensor, both_biases: bool = False) -> Tensor:
        """Return W x + b of all gates for all steps (T, B, G), in the dtype of the recurrence.

        Args:
            x_TBI: Input.
            both_biases: Add the recurrent bias too, for a cell that only ever adds the two projections.
        """
        weight_GI, weight_GH, bias_ih_G, bias_hh_G = self.weights
        bias_G = bias_ih_G + bias_hh_G if both_biases else bias_ih_G
        # Under autocast this product is in half precision; the recurrence is in the parameters' own, as errors add up.
        if self.gain_ih_G is None:
            return F.linear(x_TBI, weight_GI, bias_G).to(weight_GH.dtype)
        x_TBG = F.linear(x_TBI, weight_GI).to(weight_GH.dtype)
        return torch.addcmul(bias_G, normalise(x_TBG, len(self.gates)), self.gain_ih_G)

    def recurrent_projection(self, steps: int) -> Callable[..., Tensor]:
        """Return the function from h_BH to U h + c: of all gates (B, G), or of the one that is named (B, H).

        Args:
            steps: Expected number of calls; further ones are right too, and slower to differentiate.
        """
        every: dict[str | None, Callable[[Tensor], Tensor]] = {}

        def recur(h_BH: Tensor, gate: str | None = None) -> Tensor:
            if gate not in every:
                every[gate] = deferred_projection(self.recurrent(gate), steps, len(h_BH))
            return every[gate](h_BH)

        return recur

    def recurrent(self, gate: str | None) -> "RecurrentProjection":
        """Return the recurrent projection of one gate, or of all."""
        _, weight, _, bias = self.weights
        gain, count = self.gain_hh_G, len(self.gates)
        if gate is None:
            return RecurrentProjection(weight, bias, gain, self.mask_BH, count)
        if gate not in self.gates:
            raise unknown("gate", gate, self.gates)
        size = len(bias) // count
        rows = slice(self.gates.index(gate) * size, (self.gates.index(gate) + 1) * size)
        return RecurrentProjection(weight[rows], bias[rows], None if gain is None else gain[rows], self.mask_BH, 1)


class RecurrentProjection(NamedTuple):
    """U h + c of one gate or several."""

    weight: Tensor
    bias: Tensor
    gain: Tensor | None
    mask_BH: Tensor | None
    gates: int  # their number

    @property
    def plain(self) -> bool:
        """Whether there is neither layer normalisation nor a mask."""
        return self.gain is None and self.mask_BH is None

    def masked(self, h_BH: Tensor) -> Tensor:
        """Return the argument of U."""
        return h_BH if self.mask_BH is None else h_BH * self.mask_BH

    def finish(self, u_BG: Tensor) -> Tensor:
        """Return the projection from U h + c, or with layer normalisation from U h."""
        return u_BG if self.gain is None else torch.addcmul(self.bias, normalise(u_BG, self.gates), self.gain)

    def apply(self, h_BH: Tensor) -> Tensor:
        """Return the projection of h_BH."""
        return self.finish(F.linear(self.masked(h_BH), self.weight, self.bias if self.gain is None else None))


def normalise(a_BG: Tensor, gates: int) -> Tensor:
    """Bring the H values of each gate of each row to mean 0 and variance 1 (layer normalisation, Ba et al. 2016)."""
    a_BgH = a_BG.unflatten(-1, (gates, -1))
    return F.layer_norm(a_BgH, a_BgH.shape[-1:], eps=EPSILON).flatten(-2)

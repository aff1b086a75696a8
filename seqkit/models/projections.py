"""Input and recurrent projection of the gates, W x + b and U h + c, under the options of the stack."""

# T time, B batch, I input, H hidden; number of gates times H: G all gates, D those with W, R those with U, N some

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from seqkit.errors import PluginError, unknown
from seqkit.models.deferred import deferred_projection
from seqkit.models.layout import Layout

NARROW = 32  # inputs; of wider ones both orders of the weight gradient take about as long
EPSILON = 1e-5  # added to the variance by layer normalisation

GateNames = str | tuple[str, ...] | None
"""The gates of a product: one, several, or None for all that it has."""
Rows = TypeVar("Rows", Tensor, Tensor | None)


class Weights(NamedTuple):
    """Weights of one direction of a layer, in torch.nn's layout: one block of H rows per gate that has them."""

    weight_DI: Tensor
    weight_RH: Tensor  # (R,) of a diagonal U
    bias_ih_G: Tensor
    bias_hh_R: Tensor


@dataclass(frozen=True)
class Projections:
    """Input and recurrent projection of one direction of a layer, as one call has them.

    Attributes:
        layout: The gates of the rows.
        weights: After weight dropout, with a hidden state's projection multiplied into U.
        gain_ih_D: Of the layer normalisation of W x, None without; likewise ``gain_hh_R`` of U h.
        mask_BH: Factor of the argument of every recurrent product (variational dropout), None for ones.
    """

    layout: Layout
    weights: Weights
    gain_ih_D: Tensor | None = None
    gain_hh_R: Tensor | None = None
    mask_BH: Tensor | None = None

    def input_projection(self, x_TBI: Tensor, both_biases: bool = False) -> Tensor:
        """Return W x + b of all gates for all steps (T, B, G), in the dtype of the recurrence.

        Args:
            x_TBI: Input.
            both_biases: Add the recurrent bias too, for a cell that only ever adds the two projections.
        """
        whole = self.input()
        if both_biases:
            whole = whole._replace(bias=whole.bias + self.weights.bias_hh_R)
        # Under autocast this product is in half precision; the recurrence is in the parameters' own, as errors add up.
        # Of a contiguous argument, the product has the bias in it.
        x_TBD = linear(x_TBI.contiguous(), whole.weight, whole.bias if whole.gain is None else None)
        return whole.finish(x_TBD.to(whole.bias.dtype))

    def step_inputs(self, x_TBI: Tensor) -> Tensor:
        """Return the first argument of every step: W x + b (T, B, G), or x (T, B, I) for a cell that wants it."""
        return x_TBI.to(self.weights.bias_ih_G.dtype) if self.layout.wants_input else self.input_projection(x_TBI)

    def step_products(self, steps: int) -> tuple[Callable[..., Tensor], ...]:
        """Return the products that a step is given: ``recur``, and before it ``project`` for a cell that wants x.

        Args:
            steps: Expected number of calls of each; further ones are right too, and slower to differentiate.
        """
        return tuple(_deferred(projection, steps) for projection in self.step_projections)

    @property
    def step_projections(self) -> tuple[Callable[[GateNames], "Projection"], ...]:
        """The projections of a step, in the order of its arguments: ``input`` if it wants x, and ``recurrent``."""
        return (self.input, self.recurrent) if self.layout.wants_input else (self.recurrent,)

    @property
    def needs_deferring(self) -> bool:
        """Whether a weight that the steps multiply by needs a gradient."""
        weight_DI, weight_RH, _, _ = self.weights
        return weight_RH.requires_grad or (self.layout.wants_input and weight_DI.requires_grad)

    def recurrent(self, gate: GateNames = None) -> "Projection":
        """Return the recurrent projection of one gate, of several, or of all that have one."""
        own = self.layout.recurrent
        if not own:
            raise PluginError("the step calls recur, and its cell says recurrent = False: it has no U")
        names = self._known(gate, own)
        for name in names:
            if name not in own:
                raise unknown("recurrent projection of gate", name, own)
        _, weight, _, bias = self.weights
        rows = rows_of(weight, own, names), rows_of(bias, own, names), rows_of(self.gain_hh_R, own, names)
        return Projection(*rows, self.mask_BH, len(names))

    def input(self, gate: GateNames = None) -> "Projection":
        """Return the input projection of one gate, of several, or of all; of a gate without W it is the bias."""
        gates, driven = self.layout.gates, self.layout.driven
        weight, _, bias, _ = self.weights
        names = self._known(gate, gates)
        own = tuple(name for name in names if name in driven)
        rows = rows_of(weight, driven, own), rows_of(bias, gates, own), rows_of(self.gain_ih_D, driven, own)
        undriven = tuple((at, rows_of(bias, gates, (name,))) for at, name in enumerate(names) if name not in own)
        return Projection(*rows, None, len(own), undriven)

    def _known(self, gate: GateNames, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the gates that a call asks for, ``default`` for None; refuse one that the cell lacks."""
        names = default if gate is None else (gate,) if isinstance(gate, str) else gate
        for name in names:
            if name not in self.layout.gates:
                raise unknown("gate", name, self.layout.gates)
        return names


class Projection(NamedTuple):
    """W x + b or U h + c of one gate or several."""

    weight: Tensor  # (N, I) or (N, H), or (N,) of a diagonal U
    bias: Tensor
    gain: Tensor | None
    mask_BH: Tensor | None
    gates: int  # number of those that have a weight
    undriven: tuple[tuple[int, Tensor], ...] = ()  # place among the gates, and bias, of each that has none

    @property
    def plain(self) -> bool:
        """Whether it is the product and the bias, and nothing else."""
        return self.gain is None and self.mask_BH is None and not self.undriven

    def masked(self, h_BH: Tensor) -> Tensor:
        """Return the argument of the product."""
        return h_BH if self.mask_BH is None else h_BH * self.mask_BH

    def fixed_product(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the function from h_BH and a bias (B, N) to U h plus that bias, without a gradient for U."""
        weight, gates = self.weight.detach(), self.gates
        if weight.dim() == 1:
            return lambda h_BH, bias_BN: torch.addcmul(bias_BN, h_BH.repeat(1, gates), weight)
        weight_HN = weight.t()
        return lambda h_BH, bias_BN: torch.addmm(bias_BN, h_BH, weight_HN)

    def finish(self, u_BN: Tensor) -> Tensor:
        """Return the projection from U h + c, or with layer normalisation from U h."""
        if self.gain is not None and self.gates:
            u_BN = torch.addcmul(self.bias, normalise(u_BN, self.gates), self.gain)
        if not self.undriven:
            return u_BN
        blocks = list(u_BN.chunk(self.gates, -1)) if self.gates else []
        for at, bias_H in self.undriven:
            blocks.insert(at, bias_H.expand(*u_BN.shape[:-1], -1))
        return torch.cat(blocks, -1)

    def apply(self, h_BH: Tensor) -> Tensor:
        """Return the projection of h_BH."""
        bias = self.bias if self.gain is None else None
        if self.weight.dim() == 1:
            h_B1H, weight_gH = self.masked(h_BH)[:, None], self.weight.view(self.gates, -1)
            u_BgH = h_B1H * weight_gH if bias is None else torch.addcmul(bias.view_as(weight_gH), h_B1H, weight_gH)
            return self.finish(u_BgH.flatten(1))
        return self.finish(F.linear(self.masked(h_BH), self.weight, bias))


def linear(x_TBI: Tensor, weight_NI: Tensor, bias_N: Tensor | None = None) -> Tensor:
    """Return W x + b of all steps."""
    if weight_NI.shape[1] > NARROW or x_TBI.is_cuda or not (weight_NI.requires_grad and torch.is_grad_enabled()):
        return F.linear(x_TBI, weight_NI, bias_N)
    return _Narrow.apply(x_TBI.flatten(0, -2), weight_NI, bias_N).view(*x_TBI.shape[:-1], -1)


class _Narrow(torch.autograd.Function):
    """(x, W, b) -> W x + b; the gradient of W is (x'd)' and not d'x, which takes MKL up to seven times as long."""

    @staticmethod
    def forward(ctx: Any, x_MI: Tensor, weight_NI: Tensor, bias_N: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_MI, weight_NI)
        return F.linear(x_MI, weight_NI, bias_N)

    @staticmethod
    def backward(ctx: Any, d_MN: Tensor) -> tuple[Tensor | None, ...]:
        x_MI, weight_NI = (saved.to(d_MN.dtype) for saved in ctx.saved_tensors)  # d is in half precision by autocast
        dx, dweight, dbias = ctx.needs_input_grad
        return (
            d_MN @ weight_NI if dx else None,
            (x_MI.t() @ d_MN).t() if dweight else None,
            d_MN.sum(0) if dbias else None,
        )


def normalise(a_BG: Tensor, gates: int) -> Tensor:
    """Bring the H values of each gate of each row to mean 0 and variance 1 (layer normalisation, Ba et al. 2016)."""
    a_BgH = a_BG.unflatten(-1, (gates, -1))
    return F.layer_norm(a_BgH, a_BgH.shape[-1:], eps=EPSILON).flatten(-2)


def rows_of(weight: Rows, gates: tuple[str, ...], names: tuple[str, ...]) -> Rows:
    """Return the rows of some gates from a tensor with a block of H rows per gate.

    Args:
        weight: (number of gates * H, ...), or None, which is returned.
        gates: Of all blocks, in their order.
        names: Of the gates whose rows are returned.
    """
    if weight is None or names == gates:
        return weight
    size = len(weight) // len(gates)
    blocks = [weight[gates.index(name) * size :][:size] for name in names]
    return torch.cat(blocks) if len(blocks) > 1 else blocks[0] if blocks else weight[:0]


def _deferred(product: Callable[[GateNames], Projection], steps: int) -> Callable[..., Tensor]:
    """Return a product of the gates that are named, its weight gradient deferred over ``steps`` calls."""
    deferred: dict[GateNames, Callable[[Tensor], Tensor]] = {}

    def apply(h_BH: Tensor, gate: GateNames = None) -> Tensor:
        if gate not in deferred:
            deferred[gate] = deferred_projection(product(gate), steps, len(h_BH))
        return deferred[gate](h_BH)

    return apply

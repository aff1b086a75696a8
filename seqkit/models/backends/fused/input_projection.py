"""Input projection of a fused layer: W x + b of all gates, its layer normalisation in C where the loops are."""

# T time, B batch, I input, H hidden, G all gates; N = T*B

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from seqkit.models.backends.fused.c_loops import IN_C
from seqkit.models.once import once_differentiable
from seqkit.models.projections import Projections, linear
from seqkit.precision import full_precision

CHUNK = 2**24  # bytes of an input projection that is not kept; of smaller ones, the products take longer


def input_projection(projections: Projections, x_TBI: Tensor, both_biases: bool, in_c: bool) -> Tensor:
    """Return W x + b of all gates, contiguous.

    Args:
        projections: Of the gates.
        x_TBI: Input.
        both_biases: Add the recurrent bias too.
        in_c: Normalise it by the loops in C.
    """
    whole = projections.input()
    if not in_c or whole.gain is None or whole.undriven:
        return projections.input_projection(x_TBI, both_biases).contiguous()
    bias = whole.bias + projections.weights.bias_hh_R if both_biases else whole.bias
    raw = linear(x_TBI, whole.weight).to(bias.dtype)
    with full_precision(torch.device("cpu")):
        return _Normalised.apply(raw, whole.gain, bias, len(bias) // whole.gates)


def chunks(x_TBI: Tensor, weight_GH: Tensor) -> Iterator[slice]:
    """Yield the steps in chunks, for an input projection that is not kept."""
    steps, batch, _ = x_TBI.shape
    size = max(1, CHUNK // max(1, batch * len(weight_GH) * weight_GH.itemsize))
    for first in range(0, steps, size):
        yield slice(first, min(steps, first + size))


class _Normalised(torch.autograd.Function):
    """(W x, gain, bias) -> gain * layer normalisation of each gate + bias. Overwrites W x by its normal values."""

    @staticmethod
    def forward(ctx: Any, raw_TBG: Tensor, gain_G: Tensor, bias_G: Tensor, size: int) -> Tensor:
        raw_TBG = raw_TBG.contiguous()
        out_NG, scales = IN_C.normalise(raw_TBG.flatten(0, 1), gain_G, bias_G, size)
        ctx.save_for_backward(raw_TBG, gain_G, scales)
        return out_NG.view_as(raw_TBG)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_TBG: Tensor) -> tuple[Tensor | None, ...]:
        normal_TBG, gain_G, scales = ctx.saved_tensors
        d_raw, dgain, dbias = IN_C.normalise_backward(normal_TBG.flatten(0, 1), gain_G, scales, d_TBG.flatten(0, 1))
        return d_raw.view_as(d_TBG), dgain, dbias, None

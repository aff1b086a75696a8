"""Outputs and loss of a head."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from seqkit.testing.check import check, ensure
from seqkit.testing.compare import TOLERANCE
from seqkit.testing.predicting import Given, PredictionSubject


@check("head", cheap=True)
def outputs_are_floats_and_no_nan(subject: PredictionSubject) -> None:
    """Everything else is computed from them, and one NaN makes every score NaN."""
    given = subject.whole
    with torch.no_grad():
        outputs = subject.network.head(given.y, given.lengths, given.batch)
    ensure(isinstance(outputs, Tensor), f"it returns {type(outputs).__name__}; return one tensor")
    ensure(outputs.is_floating_point(), f"its outputs are {outputs.dtype}; they must be floats to be trained")
    strange = int(outputs.isnan().sum())
    ensure(not strange, f"{strange} of {outputs.numel()} outputs are NaN; look for 0 / 0 and the logarithm of below 0")


@check("head", cheap=True)
def loss_is_a_total_and_a_count(subject: PredictionSubject) -> None:
    """Totals and counts add up over devices and accumulated batches, where means of unequal batches do not."""
    result = _loss_of(subject, subject.whole)
    ensure(
        isinstance(result, tuple) and len(result) == 2,
        f"loss returned {type(result).__name__}; return (the sum over the batch, the number of items it sums over)",
    )
    total, count = result
    ensure(isinstance(total, Tensor) and total.numel() == 1, f"the total is {_shown(total)}; it must be one number")
    ensure(bool(torch.isfinite(total)), f"the total is {float(total):g}; it must be finite at the start")
    ensure(
        torch.as_tensor(count).numel() == 1 and 0 < float(count) < torch.inf,
        f"the count is {_shown(count)}; it must be the number, or the weight, of the items that the loss sums over",
    )


@check("head", cheap=True)
def loss_is_the_sum_over_the_rows(subject: PredictionSubject) -> None:
    """The training divides the total by the count itself; a mean, or a count of padding, weighs short rows wrongly."""
    total, count = _summed(subject, [subject.whole])
    due, due_count = _summed(subject, subject.alone)
    rows = len(subject.alone)
    ensure(
        abs(count - due_count) <= TOLERANCE * due_count,
        f"the count of a batch of {rows} rows is {count:.6g}, that of the rows one by one {due_count:.6g} in sum: "
        "count what is valid, without padding",
    )
    ensure(
        abs(total - due) <= TOLERANCE * max(1.0, abs(due)),
        f"the total of a batch of {rows} rows is {total:.6g}, that of the rows one by one {due:.6g} in sum: "
        "return the sum over valid items, not their mean, and leave padding out",
    )


@check("head", cheap=True)
def loss_has_a_gradient_for_every_parameter(subject: PredictionSubject) -> None:
    """A parameter without a gradient stays as it was drawn; without one for the model, only the head is trained."""
    given = subject.whole
    y = given.y.detach().clone().requires_grad_()
    trained = {name: one for name, one in subject.network.head.named_parameters() if one.requires_grad}
    wanted = {"the model's output": y, **trained}
    with torch.enable_grad():
        total, _ = _loss_of(subject, replace(given, y=y), grad=True)
        ensure(total.requires_grad, "the loss has no gradient at all; look for detach, numpy or no_grad")
        gradients = torch.autograd.grad(total, [*wanted.values()], allow_unused=True)
    for name, gradient in zip(wanted, gradients, strict=True):
        ensure(gradient is not None, f"{name} gets no gradient; look for detach or numpy, or for a part that is unused")
        ensure(bool(gradient.isfinite().all()), f"the gradient of {name} is not finite")


def _loss_of(subject: PredictionSubject, given: Given, grad: bool = False) -> Any:
    head = subject.network.head
    with torch.set_grad_enabled(grad):
        return head.loss(head(given.y, given.lengths, given.batch), given.lengths, given.batch)


def _summed(subject: PredictionSubject, parts: list[Given]) -> tuple[float, float]:
    losses = [_loss_of(subject, given) for given in parts]
    return sum(float(total) for total, _ in losses), sum(float(count) for _, count in losses)


def _shown(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) and value.numel() != 1 else f"{value}"

"""Gradients: right, and wherever there is something to learn."""

# B batch, T time, I input, H output

from typing import Any

import torch
from torch import Tensor

from seqkit.testing.check import CheckError, DoesNotApply, check, ensure
from seqkit.testing.compare import TOLERANCE, difference
from seqkit.testing.models.subject import ModelSubject
from seqkit.testing.subject import projected, random_like, trained

STEP = 1e-6
"""Of the finite differences, in float64."""


@check("model", cheap=True)
def gradient_flows_back_through_time(subject: ModelSubject) -> None:
    """Where an input changes a later output, its gradient says so, or long dependencies cannot be learned."""
    model, x_BTI = subject.module(), subject.x(at_least=2).clone().requires_grad_()
    trained(model)  # one without parameters, such as an echo state network, has nothing to learn
    y_BTH, _ = model(x_BTI, None, None)
    with torch.no_grad():
        changed_BTI = x_BTI.clone()
        changed_BTI[:, 0] += random_like(x_BTI[:, 0])
        by = difference(model(changed_BTI, None, None)[0][:, -1], y_BTH[:, -1])
    if by < TOLERANCE:
        raise DoesNotApply(f"its output does not depend on an input {x_BTI.shape[1] - 1} steps before")
    (gradient_BTI,) = torch.autograd.grad(projected(y_BTH[:, -1]), x_BTI) if y_BTH.requires_grad else (x_BTI * 0,)
    ensure(
        gradient_BTI[:, 0].any(),
        f"another first input changes the last output by {by:.2g}, and their gradient is 0; the state is detached from "
        "one step to the next",
    )


@check("model")
def gradients_are_right(subject: ModelSubject) -> None:
    """Each gradient agrees with finite differences in float64, along a random direction."""
    model, x_BTI = subject.module().double(), subject.x().double().requires_grad_()
    try:
        _, state = model(x_BTI.detach(), None, None)
        start = tuple(part.detach().requires_grad_(part.is_floating_point()) for part in state)
        outcome = _loss(model, x_BTI, start)
    except (RuntimeError, TypeError, ValueError):
        raise DoesNotApply("it does not compute in float64") from None
    tensors = {"the input": x_BTI, **{f"state {number}": part for number, part in enumerate(start)}}
    tensors |= dict(model.named_parameters())
    tensors = {name: tensor for name, tensor in tensors.items() if tensor.requires_grad}
    gradients = torch.autograd.grad(outcome, list(tensors.values()), allow_unused=True)
    for (name, tensor), gradient in zip(tensors.items(), gradients, strict=True):
        direction = random_like(tensor, seed=2)
        found = 0.0 if gradient is None else float((gradient * direction).sum())
        due = _finite_difference(model, x_BTI, start, tensor, direction)
        ensure(
            abs(found - due) < TOLERANCE * max(1.0, abs(due)),
            f"the gradient of {name} along a random direction is {found:.6g}; finite differences give {due:.6g}",
        )


@check("model", cheap=True)
def trains_step_after_step(subject: ModelSubject) -> None:
    """A second training step works: nothing of the first one's graph is left on the model."""
    model, x_BTI = subject.module(training=True), subject.x().clone().requires_grad_()
    leaves = [x_BTI, *(p for p in model.parameters() if p.requires_grad)]
    state: Any = None
    for number in ("first", "second"):
        try:
            y_BTH, state = model(x_BTI, None, state)
            if y_BTH.requires_grad:
                torch.autograd.grad(projected(y_BTH), leaves, allow_unused=True)
        except RuntimeError as error:
            raise CheckError(
                f"its {number} training step fails: {str(error).partition('.')[0]}; what goes on from one call to the "
                "next belongs into the state that it returns, and nothing may be changed in place"
            ) from error
        state = tuple(part.detach() for part in state) or None


def broken_gradients(model: Any, y: Tensor) -> list[str]:
    """Return the names of the parameters whose gradient of the squared outputs is not finite."""
    wanted = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not wanted or not y.requires_grad:
        return []
    gradients = torch.autograd.grad(y.float().square().sum(), list(wanted.values()), allow_unused=True)
    return [name for name, g in zip(wanted, gradients, strict=True) if g is not None and not g.isfinite().all()]


def _loss(model: Any, x_BTI: Tensor, start: tuple[Tensor, ...]) -> Tensor:
    y_BTH, state = model(x_BTI, None, start or None)
    loss = projected(y_BTH)
    for part in state:
        loss = loss + projected(part) if part.is_floating_point() else loss
    return loss


@torch.no_grad()
def _finite_difference(
    model: Any, x_BTI: Tensor, start: tuple[Tensor, ...], tensor: Tensor, direction: Tensor
) -> float:
    """Return the derivative of the loss along a direction of one tensor, which is put back."""
    before, losses = tensor.clone(), []
    for step in (STEP, -STEP):
        tensor.copy_(before + step * direction)
        losses.append(float(_loss(model, x_BTI, start)))
    tensor.copy_(before)
    return (losses[0] - losses[1]) / (2 * STEP)

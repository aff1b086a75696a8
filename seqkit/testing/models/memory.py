"""Memory: what a model is given stays as it is, and what it has returned too."""

import torch
from torch import Tensor

from seqkit.testing.check import check, ensure
from seqkit.testing.models.subject import ModelSubject, state_after
from seqkit.testing.subject import random_like


@check("model", cheap=True, streams=True)
def state_is_not_changed_in_place(subject: ModelSubject) -> None:
    """The state it is given may be needed for the gradient of the step before, which would be wrong in silence."""
    model, x_BTI = subject.module(training=True), subject.x()
    given = {f"state {number}": part.clone() for number, part in enumerate(state_after(model, random_like(x_BTI)))}
    before = _snapshot(given)
    model(x_BTI, None, tuple(given.values()))
    _ensure_same(given, before)


@check("model", cheap=True)
@torch.no_grad()
def results_are_not_overwritten(subject: ModelSubject) -> None:
    """Outputs and state stay as they were returned when the model is called again."""
    model, x_BTI = subject.module(), subject.x()
    y_BTH, state = model(x_BTI, None, None)
    given = {"the outputs": y_BTH, **{f"state {number}": part for number, part in enumerate(state)}}
    before = _snapshot(given)
    model(random_like(x_BTI), None, state or None)
    _ensure_same(given, before, "by the next call; return new tensors, not buffers of the model")


def _snapshot(tensors: dict[str, Tensor]) -> dict[str, tuple[int, Tensor]]:
    return {name: (tensor._version, tensor.detach().clone()) for name, tensor in tensors.items()}


def _ensure_same(tensors: dict[str, Tensor], before: dict[str, tuple[int, Tensor]], how: str = "") -> None:
    for name, tensor in tensors.items():
        version, values = before[name]
        ensure(
            tensor._version == version and torch.equal(tensor.nan_to_num(), values.nan_to_num()),
            f"{name} is changed in place {how or '; write a = a * b, not a *= b or a.mul_(b)'}".replace(" ;", ";"),
        )

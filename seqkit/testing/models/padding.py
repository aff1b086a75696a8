"""Rows of different lengths in one batch: what stands in the padding must not matter."""

# B batch, T time, I input, H output

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from seqkit.testing.check import check, ensure
from seqkit.testing.compare import TOLERANCE, difference
from seqkit.testing.models.gradients import broken_gradients
from seqkit.testing.models.subject import ModelSubject
from seqkit.testing.subject import random_like


@check("model", cheap=True)
def padding_never_changes_a_valid_output(subject: ModelSubject) -> None:
    """A short row in a batch gets the outputs that it gets alone, or scores would depend on the batch."""
    model = subject.module()
    x_BTI, lengths_B = _padded(subject, 100.0)
    y_BTH, _ = model(x_BTI, lengths_B, None)
    for row, length, y_TH, _ in _alone(model, x_BTI, lengths_B):
        by = difference(y_BTH[row, :length], y_TH)
        ensure(
            by < TOLERANCE,
            f"a row of {length} valid steps among {x_BTI.shape[1]} gets outputs {by:.2g} away from those that it gets "
            "alone; leave steps from lengths on out of every mean, softmax, normalisation and reversal",
        )


@check("model", cheap=True, streams=True)
def state_is_that_after_the_last_valid_step(subject: ModelSubject) -> None:
    """The state goes on with the row's next chunk, so steps of padding must not have changed it."""
    model = subject.module()
    x_BTI, lengths_B = _padded(subject, 100.0)
    _, state = model(x_BTI, lengths_B, None)
    for row, length, _, alone in _alone(model, x_BTI, lengths_B):
        for number, (part, due) in enumerate(zip(state, alone, strict=True)):
            by = difference(part[:, row], due[:, 0])
            ensure(
                by < TOLERANCE,
                f"state {number} after a row of {length} valid steps among {x_BTI.shape[1]} is {by:.2g} away from that "
                "of the row alone; return the state after step lengths - 1, not after the last padded one",
            )


@check("model")
def nan_in_the_padding_never_leaks(subject: ModelSubject) -> None:
    """Padding may hold anything; multiplied by a mask of zeros NaN stays NaN, in gradients too."""
    model = subject.module()
    x_BTI, lengths_B = _padded(subject, torch.nan)
    y_BTH, state = model(x_BTI, lengths_B, None)
    valid_BT = torch.arange(x_BTI.shape[1], device=x_BTI.device) < lengths_B[:, None]
    y = y_BTH[valid_BT]
    remedy = "fill the padding with masked_fill or torch.where before anything is computed from it"
    ensure(y.isfinite().all(), f"with NaN in the padding {int((~y.isfinite()).sum())} valid outputs are NaN; {remedy}")
    ensure(all(part.isfinite().all() for part in state), f"with NaN in the padding the state is NaN; {remedy}")
    broken = broken_gradients(model, y)
    ensure(not broken, f"with NaN in the padding the gradient of {', '.join(broken)} is NaN; {remedy}")


@check("model")
def takes_rows_without_a_valid_step(subject: ModelSubject) -> None:
    """A stream that has ended stays in its batch with length 0: its state stays, the other rows are not disturbed."""
    model, x_BTI = subject.module(), subject.x(at_least=2)
    lengths_B = torch.tensor([x_BTI.shape[1], 0], device=x_BTI.device)
    with torch.no_grad():
        _, before = model(random_like(x_BTI), None, None)
        y_BTH, after = model(x_BTI, lengths_B, before or None)
        due_BTH, _ = model(x_BTI, None, before or None)
    by = difference(y_BTH[0], due_BTH[0])
    ensure(by < TOLERANCE, f"beside a row of length 0 another row's outputs change by {by:.2g}")
    for number, (part, old) in enumerate(zip(after, before, strict=True)):
        by = difference(part[:, 1], old[:, 1])
        ensure(by < TOLERANCE, f"a row of length 0 changes its state {number} by {by:.2g}; it must stay as it was")


def _padded(subject: ModelSubject, filling: float) -> tuple[Tensor, Tensor]:
    """Return x_BTI whose second row has ended early, what stands beyond, and the lengths."""
    x_BTI = subject.x(at_least=2).clone()
    steps = x_BTI.shape[1]
    lengths_B = torch.tensor([steps, (steps + 1) // 2], device=x_BTI.device)
    x_BTI[1, lengths_B[1] :] *= filling
    return x_BTI, lengths_B


@torch.no_grad()
def _alone(model: Any, x_BTI: Tensor, lengths_B: Tensor) -> Iterator[tuple[int, int, Tensor, Any]]:
    """Yield each row's number, its length, and its outputs (T, H) and state without the rest of the batch."""
    for row, length in enumerate(lengths_B.tolist()):
        y_BTH, state = model(x_BTI[row : row + 1, :length], None, None)
        yield row, length, y_BTH[0], state

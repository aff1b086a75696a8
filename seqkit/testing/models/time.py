"""Time: what a causal model may know at a step, and how a sequence goes on in the next chunk."""

# B batch, T time, I input, H output

import torch

from seqkit.contracts.batch import Batch
from seqkit.network import carry
from seqkit.testing.check import DoesNotApply, check, ensure
from seqkit.testing.compare import TOLERANCE, difference, largest
from seqkit.testing.models.subject import ModelSubject, state_after
from seqkit.testing.subject import random_like


@check("model", cheap=True)
@torch.no_grad()
def nothing_looks_ahead(subject: ModelSubject) -> None:
    """A causal model's outputs stay when later steps change, or a language model would read what it predicts."""
    model, x_BTI = subject.causal_model(), subject.x(at_least=2)
    before = x_BTI.shape[1] // 2
    changed_BTI = x_BTI.clone()
    changed_BTI[:, before:] += 1 + random_like(x_BTI[:, before:]).abs()
    by = difference(model(changed_BTI, None, None)[0][:, :before], model(x_BTI, None, None)[0][:, :before])
    ensure(
        by < TOLERANCE,
        f"it says that it is causal, and outputs before step {before} change by {by:.2g} when steps from {before} on "
        "do; pad convolutions on the left only, mask attention, or say causal = False",
    )


@check("model", cheap=True)
def no_gradient_comes_from_later_steps(subject: ModelSubject) -> None:
    """The same by gradient, which also finds what this change leaves as it is, such as a maximum over time."""
    model, x_BTI = subject.causal_model(), subject.x(at_least=2).clone().requires_grad_()
    before = x_BTI.shape[1] // 2
    y_BTH, _ = model(x_BTI, None, None)
    if not y_BTH.requires_grad:
        raise DoesNotApply("its output needs no gradient")
    (gradient_BTI,) = torch.autograd.grad((y_BTH * random_like(y_BTH))[:, :before].sum(), x_BTI)
    ahead = float(gradient_BTI[:, before:].abs().max() / gradient_BTI.abs().max().clamp(min=1e-12))
    ensure(
        ahead < TOLERANCE,
        f"it says that it is causal, and outputs before step {before} have a gradient of {ahead:.2g} of the largest "
        "one at later steps; say causal = False, or find what looks ahead",
    )


@check("model", cheap=True, streams=True)
@torch.no_grad()
def chunks_equal_the_whole(subject: ModelSubject) -> None:
    """A sequence in chunks, the state carried on, gives the outputs of the whole: streams and long texts rely on it."""
    model, x_BTI = subject.causal_model(), subject.x(at_least=2)
    state_after(model, x_BTI)
    whole_BTH, final = model(x_BTI, None, None)
    outputs, state = [], None
    for chunk_BTI in x_BTI.split([1, (x_BTI.shape[1] - 1) // 2, x_BTI.shape[1] // 2], 1):
        if chunk_BTI.shape[1]:
            y_BTH, state = model(chunk_BTI, None, state)
            outputs.append(y_BTH)
    by = difference(torch.cat(outputs, 1), whole_BTH)
    ensure(
        by < TOLERANCE,
        f"in chunks, with the state carried on, its outputs are {by:.2g} away from those of the whole sequence; start "
        "from the state that is given, and return all that later steps depend on",
    )
    assert state is not None
    by = largest(state, final)
    ensure(by < TOLERANCE, f"in chunks its last state is {by:.2g} away from that of the whole sequence")


@check("model", cheap=True, streams=True)
@torch.no_grad()
def a_reset_row_starts_like_a_new_sequence(subject: ModelSubject) -> None:
    """Where a stream starts anew in a row, that row forgets, and the other rows go on."""
    model, x_BTI = subject.causal_model(), subject.x()
    state = state_after(model, random_like(x_BTI))
    fresh_B = torch.arange(len(x_BTI), device=x_BTI.device) == 0
    start = carry(state, Batch(x_BTI, fresh_B=fresh_B), model)
    y_BTH, _ = model(x_BTI, None, start)
    new_BTH, _ = model(x_BTI, None, None)
    on_BTH, _ = model(x_BTI, None, state)
    how = "initial_state()" if hasattr(model, "initial_state") else "zeros, as it has no initial_state(batch_size)"
    by = difference(y_BTH[0], new_BTH[0])
    ensure(
        by < TOLERANCE,
        f"a row that starts anew, from {how}, gets outputs {by:.2g} away from those of a new sequence (state=None); "
        "let initial_state(batch_size) return what state=None starts from",
    )
    by = difference(y_BTH[1:], on_BTH[1:])
    ensure(by < TOLERANCE, f"beside a row that starts anew the outputs of another row change by {by:.2g}")


@check("model", cheap=True, streams=True)
@torch.no_grad()
def initial_state_is_where_it_starts(subject: ModelSubject) -> None:
    """``initial_state(batch_size)`` gives the same outputs as no state."""
    model, x_BTI = subject.module(), subject.x()
    if not hasattr(model, "initial_state"):
        raise DoesNotApply("it has no initial_state")
    start, (_, after) = model.initial_state(len(x_BTI)), model(x_BTI, None, None)
    found, due = ([tuple(part.shape) for part in state] for state in (start, after))
    ensure(found == due, f"initial_state({len(x_BTI)}) has the shapes {found}; the state that it returns has {due}")
    by = difference(model(x_BTI, None, start)[0], model(x_BTI, None, None)[0])
    ensure(by < TOLERANCE, f"from initial_state() its outputs are {by:.2g} away from those without a state")

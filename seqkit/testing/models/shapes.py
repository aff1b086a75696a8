"""Shapes and types of what a model takes and returns."""

import torch
from torch import Tensor, nn

from seqkit.testing.check import check, ensure
from seqkit.testing.models.subject import ROWS, STEPS, ModelSubject


@check("model", cheap=True)
def can_be_built(subject: ModelSubject) -> None:
    """It is built without a refusal, as an nn.Module: the parameters of anything else would not be trained."""
    model = subject.make()
    ensure(
        isinstance(model, nn.Module),
        f"{subject.where} is {type(model).__name__}; make it an nn.Module, so that it is trained and saved",
    )


@check("model", cheap=True)
def says_its_output_size_and_whether_it_is_causal(subject: ModelSubject) -> None:
    """Head and stream are chosen by ``output_size`` and ``causal``."""
    model = subject.model()
    size, causal = getattr(model, "output_size", None), getattr(model, "causal", None)
    ensure(type(size) is int and size > 0, f"output_size is {size!r}; it must be the number of features of an output")
    ensure(type(causal) is bool, f"causal is {causal!r}; it must be True or False")


@check("model", cheap=True)
def returns_an_output_per_step_and_a_state(subject: ModelSubject) -> None:
    """It returns y_BTH, of ``output_size`` features and the type of the input, and a tuple of tensors, batch second."""
    model, x_BTI = subject.model(), subject.inputs(ROWS, STEPS)
    result = model(x_BTI, None, None)
    ensure(
        isinstance(result, tuple) and len(result) == 2,
        f"it returns {type(result).__name__}; it must return (y_BTH, state), with () for a model without state",
    )
    y, state = result
    due = (ROWS, STEPS, model.output_size)
    ensure(isinstance(y, Tensor), f"its output is {type(y).__name__}, not a tensor")
    ensure(
        tuple(y.shape) == due,
        f"its output is {tuple(y.shape)} for {ROWS} rows of {STEPS} steps; with its output_size that must be {due}",
    )
    ensure(y.dtype == x_BTI.dtype, f"its output is {y.dtype} for an input of {x_BTI.dtype}; both must be the same")
    ensure(
        isinstance(state, tuple) and all(isinstance(part, Tensor) for part in state),
        f"its state is {type(state).__name__}; it must be a tuple of tensors",
    )
    for number, part in enumerate(state):
        ensure(
            part.dim() >= 2 and part.shape[1] == ROWS,
            f"state {number} is {tuple(part.shape)} for {ROWS} rows; the batch must be its second axis",
        )


@check("model", cheap=True)
def takes_a_single_step(subject: ModelSubject) -> None:
    """A stream gives one step of one row at a time."""
    model = subject.model()
    with torch.no_grad():
        y, _ = model(subject.inputs(1, 1), None, None)
    due = (1, 1, model.output_size)
    ensure(
        tuple(y.shape) == due, f"its output for one step of one row is {tuple(y.shape)}, not {due}; look for squeeze"
    )

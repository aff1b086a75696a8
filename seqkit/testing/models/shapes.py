"""Shapes and types of what a model takes and returns."""

import torch

from seqkit.contracts.returned import check_model, check_outputs
from seqkit.testing.check import CheckError, check, ensure
from seqkit.testing.models.gradients import broken_gradients
from seqkit.testing.models.subject import ModelSubject


@check("model", cheap=True, basic=True)
def says_its_output_size_and_whether_it_is_causal(subject: ModelSubject) -> None:
    """Head and stream are chosen by ``output_size`` and ``causal``."""
    check_model(subject.module())


@check("model", cheap=True, basic=True)
def returns_an_output_per_step_and_a_state(subject: ModelSubject) -> None:
    """It returns y_BTH, of ``output_size`` features and the type of the input, and a tuple of tensors, batch second."""
    model, x_BTI = subject.module(), subject.x()
    result = model(x_BTI, None, None)
    check_outputs(model, result, x_BTI)
    y, _ = result
    ensure(y.dtype == x_BTI.dtype, f"its output is {y.dtype} for an input of {x_BTI.dtype}; both must be the same")


@check("model", cheap=True, streams=True)
def takes_one_step_of_one_row(subject: ModelSubject) -> None:
    """A stream gives one step of one row at a time."""
    model = subject.module()
    with torch.no_grad():
        y, _ = model(subject.x(1, 1), None, None)
    due = (1, 1, model.output_size)
    ensure(
        tuple(y.shape) == due, f"its output for one step of one row is {tuple(y.shape)}, not {due}; look for squeeze"
    )


@check("model")
def computes_in_float64(subject: ModelSubject) -> None:
    """Gradients are compared in float64, so nothing in it may be of a fixed type."""
    model = subject.module().double()
    try:
        with torch.no_grad():
            y, state = model(subject.x().double(), None, None)
    except (RuntimeError, ValueError, TypeError) as error:
        raise CheckError(
            f"after .double() it fails: {error}; make new tensors with x.new_zeros(...) or dtype=x.dtype"
        ) from error
    found = {part.dtype for part in (y, *state) if part.is_floating_point()}
    ensure(
        found == {torch.float64},
        f"after .double() it returns {', '.join(map(str, found))}; make new tensors with x.new_zeros(...) or x.dtype",
    )


@check("model")
def computes_under_autocast(subject: ModelSubject) -> None:
    """With trainer.precision=bf16-mixed its outputs and gradients are finite, and in evaluation close to float32."""
    model, x_BTI = subject.module(), subject.x()
    exact, _ = model(x_BTI, None, None)
    with torch.autocast(x_BTI.device.type, torch.bfloat16):
        y, state = model(x_BTI, None, None)
        y, _ = model(x_BTI, None, state or None)
    ensure(y.isfinite().all(), "under autocast to bfloat16 its outputs are not finite; compute exp and sums in float32")
    broken = broken_gradients(model, y)
    ensure(not broken, f"under autocast to bfloat16 the gradient of {', '.join(broken)} is not finite")
    ensure(y.shape == exact.shape, f"under autocast its output is {tuple(y.shape)}, not {tuple(exact.shape)}")

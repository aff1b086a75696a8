"""Checks of frontends."""

# B batch, R rows per sequence, T time (steps given to the model), I features of a step

from typing import Any

import torch
from torch import Tensor

from seqkit import registry
from seqkit.contracts import returned
from seqkit.contracts.spec import DataSpec
from seqkit.rng import generator
from seqkit.testing import modules, options, randomness
from seqkit.testing.check import DoesNotApply, check, ensure, require
from seqkit.testing.compare import TOLERANCE, difference
from seqkit.testing.line import Chosen
from seqkit.testing.specs import spec_for
from seqkit.testing.subject import ModuleSubject

MODULES = modules, randomness  # define checks of frontends too


class FrontendSubject(ModuleSubject):
    """A frontend to be checked; its inputs are of the kind that it reads."""


def check_frontend(name: str, spec: DataSpec | None = None, **given: Any) -> None:
    """Run every check of a frontend on one that is registered.

    Args:
        name: Under which it is registered.
        spec: Of data that it reads; made up if it reads a built-in kind of inputs.
        given: Its options.

    Raises:
        CheckError: A check failed; the message has a line for each.
    """
    require(*suite({"frontend": {"name": name, **given}}, spec))


def suite(chosen: Chosen, spec: DataSpec | None = None) -> tuple[FrontendSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of a frontend; see ``seqkit.testing.line.suite``."""
    config = chosen["frontend"]
    known = spec or spec_for(chosen, lambda spec: registry.build("frontend", config, spec))
    subject = FrontendSubject(
        make=lambda: registry.build("frontend", config, known),
        inputs=lambda rows, steps: known.inputs.example(rows, steps, generator("inputs", 0)),
        where=f"frontend={config['name']}",
        config=config,
        steps=known.inputs.example_steps,
    )
    return subject, ("frontend",)


options.define_checks("frontend")


@check("frontend", cheap=True, basic=True)
def returns_steps_and_their_lengths(subject: FrontendSubject) -> None:
    """It returns x_BTI, ``output_size`` features and ``rows_per_sequence`` rows for each, and their valid steps."""
    frontend, inputs = subject.module(), subject.x()
    returned.check_frontend(frontend)
    rows = len(inputs) * getattr(frontend, "rows_per_sequence", 1)
    for lengths_B in (None, torch.full((len(inputs),), inputs.shape[1], device=inputs.device)):
        result = frontend(inputs, lengths_B)
        returned.check_steps(frontend, result)
        x_BTI, valid_B = result
        ensure(
            len(x_BTI) == rows and x_BTI.is_floating_point(),
            f"of {len(inputs)} sequences it makes {len(x_BTI)} rows of {x_BTI.dtype}; with its rows_per_sequence that "
            f"must be {rows} of a floating type",
        )
        if valid_B is not None:
            ensure(
                bool((valid_B == x_BTI.shape[1]).all()),
                f"of sequences that are valid to their end its lengths are {valid_B.tolist()}; each of the {rows} rows "
                f"has {x_BTI.shape[1]} steps",
            )


@check("frontend", cheap=True)
def padding_never_changes_a_valid_step(subject: FrontendSubject) -> None:
    """A short sequence in a batch gives the steps, and as many, that it gives alone."""
    frontend = subject.module()
    inputs, lengths_B = _padded(subject)
    x_BTI, valid_B = frontend(inputs, lengths_B)
    ensure(valid_B is not None, "it returns no lengths for rows of different lengths; return the valid steps of each")
    for row, length in enumerate(lengths_B.tolist()):
        alone_RTI, _ = frontend(inputs[row : row + 1, :length], None)
        rows = slice(row * len(alone_RTI), (row + 1) * len(alone_RTI))
        steps = set(valid_B[rows].tolist())
        ensure(
            steps == {alone_RTI.shape[1]},
            f"of {length} inputs in a batch it says {steps} steps; alone they give {alone_RTI.shape[1]}",
        )
        by = difference(x_BTI[rows, : alone_RTI.shape[1]], alone_RTI)
        ensure(
            by < TOLERANCE,
            f"{length} inputs among {inputs.shape[1]} give steps {by:.2g} away from those that they give alone; leave "
            "inputs from lengths on out of every mean, window and reversal",
        )


@check("frontend")
def nan_in_the_padding_never_leaks(subject: FrontendSubject) -> None:
    """Padding may hold anything; multiplied by a mask of zeros NaN stays NaN, in gradients too."""
    frontend = subject.module()
    inputs, lengths_B = _padded(subject)
    if not inputs.is_floating_point():
        raise DoesNotApply("its inputs are whole numbers")
    inputs[1, lengths_B[1] :] = torch.nan
    x_BTI, valid_B = frontend(inputs, lengths_B)
    x = x_BTI[torch.arange(x_BTI.shape[1]) < valid_B[:, None]]
    ensure(
        x.isfinite().all(),
        f"with NaN in the padding {int((~x.isfinite()).sum())} numbers of valid steps are NaN; fill the padding with "
        "masked_fill before anything is computed from it",
    )


@check("frontend", cheap=True)
@torch.no_grad()
def rows_do_not_mix(subject: FrontendSubject) -> None:
    """A sequence gives the same steps in any batch."""
    frontend, inputs = subject.module(), subject.x()
    x_BTI, _ = frontend(inputs, None)
    alone_BTI = torch.cat([frontend(row, None)[0] for row in inputs.split(1)])
    by = difference(x_BTI, alone_BTI)
    ensure(
        by < TOLERANCE,
        f"in a batch a sequence gives steps {by:.2g} away from those that it gives alone; compute nothing over the "
        "batch axis in evaluation",
    )


@check("frontend")
def steps_are_counted_right(subject: FrontendSubject) -> None:
    """``steps(lengths_B)`` is what data are checked by before a training: targets that need more are refused."""
    frontend, inputs = subject.module(), subject.x(1)
    if not hasattr(frontend, "steps"):
        raise DoesNotApply("it has no steps()")
    for length in (inputs.shape[1], (inputs.shape[1] + 1) // 2):
        said = int(frontend.steps(torch.tensor([length]))[0])
        due = frontend(inputs[:, :length], None)[0].shape[1]
        ensure(said == due, f"steps() says {said} for {length} inputs, which give {due}")


@check("frontend")
@torch.no_grad()
def chunks_equal_the_whole(subject: FrontendSubject) -> None:
    """Where ``looks_ahead`` is None, chunks of a stream give the steps of the whole sequence."""
    frontend, inputs = subject.module(), subject.x(1)
    if not hasattr(frontend, "looks_ahead"):
        raise DoesNotApply("it has no looks_ahead, so that no stream takes it")
    if frontend.looks_ahead is not None:
        raise DoesNotApply(str(frontend.looks_ahead))
    steps, memory = [], None
    first = (inputs.shape[1] + 1) // 3
    chunks = inputs.split([1, first, inputs.shape[1] - 1 - first, 0], 1)
    for number, chunk in enumerate(chunks, 1):
        if hasattr(frontend, "stream"):
            x_BTI, memory = frontend.stream(chunk, memory, number == len(chunks))
        elif chunk.shape[1]:
            x_BTI, _ = frontend(chunk, None)
        else:
            continue
        steps.append(x_BTI)
    x_BTI, (due_BTI, _) = torch.cat(steps, 1), frontend(inputs, None)
    remedy = (
        "keep in the memory of stream() what later chunks need"
        if hasattr(frontend, "stream")
        else "give it stream(inputs, memory, end), or let looks_ahead say why it needs the whole sequence"
    )
    ensure(
        x_BTI.shape == due_BTI.shape,
        f"in chunks it makes {x_BTI.shape[1]} steps of a sequence, of the whole {due_BTI.shape[1]}; {remedy}",
    )
    by = difference(x_BTI, due_BTI)
    ensure(by < TOLERANCE, f"in chunks its steps are {by:.2g} away from those of the whole sequence; {remedy}")


def _padded(subject: FrontendSubject) -> tuple[Tensor, Tensor]:
    """Return inputs whose second row has ended early, other inputs beyond its end, and the lengths."""
    inputs = subject.x(at_least=2).clone()
    steps = inputs.shape[1]
    return inputs, torch.tensor([steps, (steps + 1) // 2], device=inputs.device)

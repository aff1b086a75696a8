"""A head on one chunk after another."""

from dataclasses import replace

import torch

from seqkit.errors import ConfigError
from seqkit.testing.check import DoesNotApply, check, ensure
from seqkit.testing.compare import TOLERANCE, difference
from seqkit.testing.predicting import PredictionSubject


@check("head")
def stream_equals_the_whole(subject: PredictionSubject) -> None:
    """What is said of a sequence must not depend on how it arrives."""
    head = subject.network.head
    if not hasattr(head, "stream"):
        raise DoesNotApply("the head has no stream")
    if not subject.network.model.causal:
        raise DoesNotApply("the model reads backwards too, so no stream takes it")
    if getattr(subject.network.frontend, "looks_ahead", None):
        raise DoesNotApply("the frontend needs the whole sequence, so no stream takes it")
    given = next((one for one in subject.alone if one.y.shape[1] > 1 and len(one.y) == 1), None)
    if given is None:
        raise DoesNotApply("no sequence of the data has two steps, or the frontend makes several rows of each")
    steps = given.y.shape[1]
    aligned = given.batch.inputs.shape[1] == steps
    with torch.no_grad():
        due = head(given.y, given.lengths, given.batch).flatten()
        memory = None
        for start, end in ((0, steps // 2), (steps // 2, steps)):
            inputs = given.batch.inputs[:, start:end] if aligned else given.batch.inputs
            batch = replace(given.batch, inputs=inputs, lengths=None, targets=None, target_lengths=None)
            try:
                result = head.stream(given.y[:, start:end], batch, memory)
            except ConfigError as refusal:  # with these options no stream takes it
                raise DoesNotApply(str(refusal)) from None
            ensure(
                isinstance(result, tuple) and len(result) == 3,
                f"stream returned {type(result).__name__}; return (outputs, answer, memory)",
            )
            outputs, _, memory = result
    found = outputs.flatten()
    seen = difference(found, due[-len(found) :])
    ensure(
        seen <= TOLERANCE,
        f"after two chunks the outputs differ by {seen:.2g} from those of the whole sequence of {steps} steps: "
        "keep in memory what the outputs need of the steps before",
    )

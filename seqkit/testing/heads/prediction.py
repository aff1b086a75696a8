"""Predictions of a head."""

from dataclasses import replace

from seqkit.testing.answers import difference_reason
from seqkit.testing.check import check, ensure, explained
from seqkit.testing.predicting import PredictionSubject


@check("head", cheap=True)
def answers_have_an_entry_per_row(subject: PredictionSubject) -> None:
    """A person who predicts is shown the task's answer, made from the prediction."""
    answers = subject.answers(subject.whole)
    ensure(
        len(answers) == len(subject.samples),
        f"{len(answers)} answers for {len(subject.samples)} rows: the first axis of a prediction must be the batch",
    )


@check("head", cheap=True)
def prediction_needs_no_targets(subject: PredictionSubject) -> None:
    """There are none when a trained network is used."""
    given = subject.whole
    without = replace(given, batch=replace(given.batch, targets=None, target_lengths=None))
    with explained("predict must do without batch.targets"):
        answers = subject.answers(without)
    reason = difference_reason(answers, subject.answers(given))
    ensure(not reason, f"without targets an answer differs: {reason}; predict must not look at them")


@check("head", cheap=True)
def prediction_does_not_depend_on_the_batch(subject: PredictionSubject) -> None:
    """A score must not change with the batch size; look at what is summed over padded steps, or over the rows."""
    for row, (answer, given) in enumerate(zip(subject.answers(subject.whole), subject.alone, strict=True)):
        reason = difference_reason(answer, subject.answers(given)[0])
        steps = given.y.shape[1]
        ensure(
            not reason,
            f"row {row} among others, padded from {steps} to {subject.whole.y.shape[1]} steps, differs from the row "
            f"alone: {reason}",
        )


@check("head", cheap=True)
def evaluation_is_deterministic(subject: PredictionSubject) -> None:
    """Evaluating a checkpoint again must give the score that the report has."""
    first, second = (subject.answers(subject.whole) for _ in range(2))
    reason = difference_reason(second, first)
    ensure(not reason, f"the second prediction differs: {reason}; draw random numbers in training only")


@check("head")
def figures_draw_the_prediction(subject: PredictionSubject) -> None:
    """The report of a training draws examples, from the head's prediction."""
    from seqkit.testing.tasks import drawn

    drawn(subject)

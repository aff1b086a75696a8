"""Checks of heads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqkit import registry
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, one_line
from seqkit.testing import options, scores, tiny
from seqkit.testing.answers import difference_reason
from seqkit.testing.check import CheckError, DoesNotApply, check, ensure, explained, require, seeded
from seqkit.testing.compare import TOLERANCE, difference
from seqkit.testing.line import Chosen
from seqkit.testing.predicting import Given, PredictionSubject


def check_head(name: str, data: str | Mapping[str, Any] | None = None, **options: Any) -> None:
    """Run every check of a head on one that is registered.

    Args:
        name: Under which it is registered.
        data: Data set to check it on, by name or with options; the first that it serves if left out.
        options: Of the head.

    Raises:
        CheckError: A check failed; the message has a line for each.
    """
    chosen: dict[str, Any] = {"head": {"name": name, **options}}
    if data is not None:
        chosen["data"] = {"name": data} if isinstance(data, str) else data
    require(*suite(chosen))


def suite(chosen: Chosen) -> tuple[PredictionSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of a head; see ``seqkit.testing.line.suite``."""
    head, data = chosen["head"], chosen.get("data")
    subject = PredictionSubject(
        get_data=lambda: tiny.data_set(data) if data else tiny.served_by(head),
        get_network=lambda found: tiny.network(found, chosen),
        where=f"head={head['name']}",
        config=head,
    )
    return subject, ("head",)


options.define_checks("head")


@check("head", cheap=True)
def outputs_are_finite(subject: PredictionSubject) -> None:
    """Everything else is computed from them, and one NaN makes every score NaN."""
    given = subject.whole
    with torch.no_grad():
        outputs = subject.network.head(given.y, given.lengths, given.batch)
    ensure(isinstance(outputs, Tensor), f"it returns {type(outputs).__name__}; return one tensor")
    ensure(outputs.is_floating_point(), f"its outputs are {outputs.dtype}; they must be floats to be trained")
    ensure(
        bool(outputs.isfinite().all()),
        f"{int((~outputs.isfinite()).sum())} of {outputs.numel()} outputs are NaN or inf",
    )


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
        torch.as_tensor(count).numel() == 1 and int(count) == float(count) and int(count) > 0,
        f"the count is {_shown(count)}; it must be the number of items that the loss sums over",
    )


@check("head", cheap=True)
def loss_is_the_sum_over_the_rows(subject: PredictionSubject) -> None:
    """The training divides the total by the count itself; a mean, or a count of padding, weighs short rows wrongly."""
    total, count = _summed(subject, [subject.whole])
    due, due_count = _summed(subject, subject.alone)
    rows = len(subject.alone)
    ensure(
        count == due_count,
        f"the count of a batch of {rows} rows is {count}, that of the rows one by one {due_count} in sum: "
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
    names, parameters = zip(*[("the model's output", given.y), *subject.network.head.named_parameters()], strict=True)
    y = given.y.detach().clone().requires_grad_()
    with torch.enable_grad():
        total, _ = _loss_of(subject, replace(given, y=y), grad=True)
        ensure(total.requires_grad, "the loss has no gradient at all; look for detach, numpy or no_grad")
        gradients = torch.autograd.grad(total, [y, *parameters[1:]], allow_unused=True)
    for name, gradient in zip(names, gradients, strict=True):
        ensure(gradient is not None, f"{name} gets no gradient; look for detach or numpy, or for a part that is unused")
        ensure(bool(gradient.isfinite().all()), f"the gradient of {name} is not finite")
    ensure(bool((gradients[0] != 0).any()), "the gradient of the model's output is zero, so the model is not trained")


@check("head", cheap=True)
def metrics_of_the_task_read_the_prediction(subject: PredictionSubject) -> None:
    """Validation and the choice of the best checkpoint rest on them."""
    with explained("predict must return the prediction of the task, which its metrics read"):
        scores.scored(lambda: subject.spec.task.metrics(subject.spec), subject, [range(len(subject.samples))])


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


@check("head", cheap=True)
def monitor_names_a_score_and_a_direction(subject: PredictionSubject) -> None:
    """It decides which checkpoint is the best; in the wrong direction that is the worst."""
    monitor = getattr(subject.network.head, "monitor", None)
    ensure(
        isinstance(monitor, tuple) and len(monitor) == 2,
        f"monitor is {monitor!r}; it must be the name of a score and 'min' or 'max', such as ('loss', 'min')",
    )
    assert isinstance(monitor, tuple)
    ensure(monitor[1] in ("min", "max"), f"the direction of monitor is {monitor[1]!r}; it must be 'min' or 'max'")
    rows = [range(len(subject.samples))]
    names = [*scores.scored(lambda: subject.spec.task.metrics(subject.spec), subject, rows)]
    if hasattr(subject.network.head, "metrics"):
        names += scores.scored(subject.network.head.metrics, subject, rows)
    ensure(monitor[0] in names, f"monitor names {monitor[0]!r}, and the scores are {', '.join(names)}")


@check("head", cheap=True)
def own_metrics_are_exact_under_any_split(subject: PredictionSubject) -> None:
    """A mean of the means of batches changes with the batch size, and is not the mean over the samples."""
    scores.require_exact_under_any_split(_own_metrics(subject), subject)


@check("head", cheap=True)
def own_metrics_add_up_over_devices(subject: PredictionSubject) -> None:
    """Each device scores its rows of a batch, and the states are then joined."""
    scores.require_sums_over_ranks(_own_metrics(subject), subject)


@check("head")
def figures_draw_the_prediction(subject: PredictionSubject) -> None:
    """The report of a training draws examples, from the head's prediction."""
    from seqkit.testing.tasks import drawn

    drawn(subject)


@check("head")
def stream_equals_the_whole(subject: PredictionSubject) -> None:
    """What is said of a sequence must not depend on how it arrives."""
    head = subject.network.head
    if not hasattr(head, "stream"):
        raise DoesNotApply("the head has no stream")
    if not subject.network.model.causal:
        raise DoesNotApply("the model reads backwards too, so no stream takes it")
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
            result = head.stream(given.y[:, start:end], batch, memory)
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


@check("head")
def another_task_is_refused_in_one_line(subject: PredictionSubject) -> None:
    """A user who pairs it with other data must read which head serves them, not a traceback."""
    other = DataSpec(subject.spec.inputs, _OtherTask())
    config = {"name": "gru", "hidden_size": 6}
    model = registry.build("model", config, 3)
    try:
        registry.build("head", _config(subject), model.output_size, other, model.causal)
    except ConfigError:
        return
    except Exception as error:
        text = f"{type(error).__name__}: {one_line(error)}"
        reason = f"for data of another task it fails with {text}"
    else:
        reason = "it takes data of a task that it has never seen"
    raise CheckError(
        f"{reason}; where spec.task is not of its class, raise seqkit.ConfigError that names spec.task.head"
    )


@check("head")
def state_dict_restores_the_prediction(subject: PredictionSubject) -> None:
    """A checkpoint is a state dict; what is not in it is lost."""
    head, given = subject.network.head, subject.whole
    with seeded(1):
        again = subject.get_network(subject.data).head
    again.load_state_dict(head.state_dict())
    with torch.no_grad():
        due, found = (one(given.y, given.lengths, given.batch) for one in (head, again))
    seen = difference(found, due)
    ensure(
        seen == 0,
        f"a new head with the same state dict differs by {seen:.2g}: make each tensor of it a parameter or a buffer",
    )


@dataclass(frozen=True)
class _OtherTask:
    """A task that no head serves."""

    head: ClassVar[str] = "another"


def _config(subject: PredictionSubject) -> Mapping[str, Any]:
    if subject.config is None:
        raise DoesNotApply("the head was not built by name, so no second one can be")
    return subject.config


def _own_metrics(subject: PredictionSubject) -> scores.Make:
    if not hasattr(subject.network.head, "metrics"):
        raise DoesNotApply("the head has no metrics of its own")
    return subject.network.head.metrics


def _loss_of(subject: PredictionSubject, given: Given, grad: bool = False) -> Any:
    head = subject.network.head
    with torch.set_grad_enabled(grad):
        return head.loss(head(given.y, given.lengths, given.batch), given.lengths, given.batch)


def _summed(subject: PredictionSubject, parts: list[Given]) -> tuple[float, int]:
    losses = [_loss_of(subject, given) for given in parts]
    return sum(float(total) for total, _ in losses), sum(int(count) for _, count in losses)


def _shown(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) and value.numel() != 1 else f"{value}"

"""Checks of tasks: metrics, baselines, answers, figures."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from torch.utils.data import Subset

from seqkit import registry
from seqkit.contracts.batch import Split
from seqkit.contracts.spec import Results
from seqkit.errors import ConfigError
from seqkit.specs import spec_from_json, spec_to_json
from seqkit.testing import scores, tiny
from seqkit.testing.answers import difference_reason, json_reason
from seqkit.testing.check import CheckError, DoesNotApply, check, ensure, explained, require
from seqkit.testing.line import Chosen
from seqkit.testing.predicting import Given, PredictionSubject


def check_task(name: str, data: str | Mapping[str, Any] | None = None) -> None:
    """Run every check of a task on one that is registered.

    Args:
        name: Under which it is registered.
        data: Data set of this task, by name or with options; the first that has it if left out.

    Raises:
        CheckError: A check failed; the message has a line for each.
    """
    chosen: dict[str, Any] = {"task": {"name": name}}
    if data is not None:
        chosen["data"] = {"name": data} if isinstance(data, str) else data
    require(*suite(chosen))


def suite(chosen: Chosen) -> tuple[PredictionSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of a task; see ``seqkit.testing.line.suite``."""
    name, data = chosen["task"]["name"], chosen.get("data")
    subject = PredictionSubject(
        get_data=lambda: tiny.data_set(data) if data else tiny.of_task(name),
        get_network=tiny.network,
        where=f"task={name}",
    )
    return subject, ("task",)


@check("task", cheap=True)
def spec_survives_json(subject: PredictionSubject) -> None:
    """It travels as JSON in config and checkpoints, and a trained network is useless without it."""
    task = subject.spec.task
    back = spec_from_json(json.loads(json.dumps(spec_to_json(subject.spec)))).task
    changed = [field.name for field in fields(task) if getattr(back, field.name) != getattr(task, field.name)]
    ensure(
        not changed and back == task,
        f"{', '.join(changed) or 'it'} is another after a round trip through JSON; its fields may hold str, int, "
        "float, bool, None, tuples of them and registered dataclasses",
    )


@check("task", cheap=True)
def names_a_head_that_serves_it(subject: PredictionSubject) -> None:
    """It is the one that is taken where a user names none."""
    name = subject.spec.task.head
    try:
        registry.find("head", name)
    except ConfigError as error:
        raise CheckError(f"head is {name!r}: {error}") from None


@check("task", cheap=True)
def metrics_give_a_number_per_score(subject: PredictionSubject) -> None:
    """Reports, tables and the choice of the best checkpoint take a dict of numbers."""
    scores.scored(_metrics(subject), subject, [range(len(subject.samples))])


@check("task", cheap=True)
def metrics_are_exact_under_any_split(subject: PredictionSubject) -> None:
    """A mean of the means of batches changes with the batch size, and is not the mean over the samples."""
    scores.require_exact_under_any_split(_metrics(subject), subject)


@check("task")
def metrics_add_up_over_devices(subject: PredictionSubject) -> None:
    """Each device scores its rows of a batch, and the states are then joined."""
    scores.require_sums_over_ranks(_metrics(subject), subject)


@check("task", cheap=True)
def answers_are_plain_json(subject: PredictionSubject) -> None:
    """``predict --json`` prints them, and a server sends them."""
    answers = subject.answers(subject.whole)
    rows = len(subject.samples)
    ensure(
        isinstance(answers, list) and len(answers) == rows,
        f"answers returned {type(answers).__name__} of {len(answers)} for {rows} rows; return a list, a dict per row",
    )
    ensure(isinstance(answers[0], dict), f"an answer is {type(answers[0]).__name__}; make it a dict")
    reason = json_reason(answers)
    ensure(not reason, f"an answer is no plain JSON: {reason}")


@check("task", cheap=True)
def over_time_looks_back_alone(subject: PredictionSubject) -> None:
    """Scores would change with the batch size, or be those of a prediction that has seen what it is to predict."""
    task, spec = subject.spec.task, subject.spec
    if not hasattr(task, "over_time") or task.over_time(spec) is None:
        raise DoesNotApply("no prediction is changed by those before it")

    def walked(*parts: Given) -> list[dict[str, Any]]:
        change = task.over_time(spec)
        changed = [change(subject.prediction(given), given.batch) for given in parts]
        return [answer for prediction in changed for answer in task.answers(prediction, spec)]

    due, batch = walked(subject.whole), subject.whole.batch
    reason = difference_reason(walked(*subject.alone), due)
    ensure(not reason, f"over_time changes predictions otherwise where each is a batch of its own: {reason}")
    assert batch.targets is not None
    others = replace(subject.whole, batch=replace(batch, targets=batch.targets.roll(1, 0)))
    reason = difference_reason(walked(others)[0], due[0])
    ensure(not reason, f"over_time changes the first prediction by the targets of that prediction: {reason}")


@check("task", cheap=True)
def text_of_an_answer_is_a_string(subject: PredictionSubject) -> None:
    """It is what ``predict`` prints for a person."""
    task = subject.spec.task
    if not hasattr(task, "text"):
        raise DoesNotApply("the task has no text; answers are printed as JSON")
    text = task.text(subject.answers(subject.whole)[0])
    ensure(isinstance(text, str), f"text returned {type(text).__name__}; return a string")


@check("task", cheap=True)
def rows_of_answers_have_the_same_columns(subject: PredictionSubject) -> None:
    """``predict --output`` writes them as one table, whose header is that of the first."""
    task = subject.spec.task
    if not hasattr(task, "rows"):
        raise DoesNotApply("the task has no rows; its answers are written as JSON")
    rows = [row for answer in subject.answers(subject.whole) for row in task.rows(answer)]
    other = next((row for row in rows if list(row) != list(rows[0])), None)
    ensure(other is None, f"rows returned columns {', '.join(rows[0])} and {', '.join(other or ())}")
    values = [value for row in rows for value in row.values()]
    strange = next((value for value in values if not isinstance(value, str | int | float | None)), None)
    ensure(strange is None, f"a value of a row is {type(strange).__name__}; make it text, a number or None")


@check("task")
def baselines_are_scored_by_the_metrics(subject: PredictionSubject) -> None:
    """A score means something beside a naive one, and only if both are computed alike."""
    for name, baseline in _baselines(subject).items():
        if callable(baseline):
            metric = _metrics(subject)()
            with explained(f"baseline '{name}' must return a prediction as a head does"):
                metric.update(baseline(subject.whole.batch), subject.whole.batch)
            found = scores.computed(metric)
        else:
            found = baseline
        strange = [score for score in found if score not in scores.scored(_metrics(subject), subject, [[0, 1]])]
        ensure(
            not strange,
            f"baseline '{name}' has a score '{', '.join(strange)}' that the metrics of the task do not have",
        )


@check("task")
def baselines_are_fitted_on_training_data(subject: PredictionSubject) -> None:
    """One that has seen the answers is not naive, and makes every model look bad."""
    test = subject.data.part("test")
    half = _Replaced(subject.data, "test", Subset(test, range(len(test) // 2)))  # type: ignore[arg-type]
    before, after = _baselines(subject), _baselines(subject, half)
    batch = subject.whole.batch
    for name, baseline in before.items():
        if not callable(baseline):
            continue
        metrics = [_metrics(subject)() for _ in range(2)]
        for metric, predict in zip(metrics, (baseline, after[name]), strict=True):
            metric.update(predict(batch), batch)
        due, found = map(scores.computed, metrics)
        reason = difference_reason(found, due)
        ensure(
            not reason,
            f"baseline '{name}' predicts otherwise when half of the test part is gone: {reason}; fit it on "
            "data.part('train')",
        )


@check("task")
def figures_are_of_matplotlib(subject: PredictionSubject) -> None:
    """The report saves each under its name, after the training."""
    drawn(subject)


@check("task")
def sample_is_a_string(subject: PredictionSubject) -> None:
    """The report prints it."""
    task = subject.spec.task
    if not hasattr(task, "sample"):
        raise DoesNotApply("the task has no sample")
    text = task.sample(_results(subject))
    ensure(isinstance(text, str), f"sample returned {type(text).__name__}; return a string")


def drawn(subject: PredictionSubject) -> None:
    """Draw the task's figures of a prediction, and raise ``CheckError`` where one is no figure."""
    task = subject.spec.task
    if not hasattr(task, "figures"):
        raise DoesNotApply("the task has no figures")
    from matplotlib.figure import Figure

    figures = task.figures(_results(subject))
    ensure(isinstance(figures, dict), f"figures returned {type(figures).__name__}; return a dict of figures by name")
    for name, figure in figures.items():
        ensure(
            isinstance(name, str) and isinstance(figure, Figure),
            f"figures has {name!r}: {type(figure).__name__}; it must be a matplotlib.figure.Figure under a string",
        )
        figure.draw_without_rendering()


class _Replaced:
    """A data set with another one of its parts."""

    def __init__(self, data: Any, split: Split, part: Any) -> None:
        self._data, self._split, self._part = data, split, part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def part(self, split: Split) -> Any:
        return self._part if split == self._split else self._data.part(split)

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Any:
        if split != self._split:
            return self._data.order(split, batch_size, seed, epoch)
        return [
            list(range(start, min(start + batch_size, len(self._part))))
            for start in range(0, len(self._part), batch_size)
        ]


def _results(subject: PredictionSubject) -> Results:
    """Return what a report is made of: the network's metric over the samples, and two of these as examples."""
    examples = subject.given(range(len(subject.samples))[:2])
    metric = scores.updated(_metrics(subject), subject, [range(len(subject.samples))])
    return Results(subject.spec, subject.network, metric, examples.batch, subject.prediction(examples))


def _metrics(subject: PredictionSubject) -> Callable[[], Any]:
    return lambda: subject.spec.task.metrics(subject.spec)


def _baselines(subject: PredictionSubject, data: Any = None) -> dict[str, Any]:
    task = subject.spec.task
    if not hasattr(task, "baselines"):
        raise DoesNotApply("the task has no baselines")
    found = task.baselines(subject.spec, data or subject.data, "test")
    ensure(isinstance(found, dict), f"baselines returned {type(found).__name__}; return a dict of functions by name")
    return found

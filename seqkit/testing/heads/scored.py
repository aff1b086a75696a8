"""How the predictions of a head are scored."""

from seqkit.testing import scores
from seqkit.testing.check import DoesNotApply, check, ensure, explained
from seqkit.testing.predicting import PredictionSubject


@check("head", cheap=True)
def metrics_of_the_task_read_the_prediction(subject: PredictionSubject) -> None:
    """Validation and the choice of the best checkpoint rest on them."""
    with explained("predict must return the prediction of the task, which its metrics read"):
        scores.scored(lambda: subject.spec.task.metrics(subject.spec), subject, [range(len(subject.samples))])


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


@check("head")
def own_metrics_add_up_over_devices(subject: PredictionSubject) -> None:
    """Each device scores its rows of a batch, and the states are then joined."""
    scores.require_sums_over_ranks(_own_metrics(subject), subject)


def _own_metrics(subject: PredictionSubject) -> scores.Make:
    if not hasattr(subject.network.head, "metrics"):
        raise DoesNotApply("the head has no metrics of its own")
    return subject.network.head.metrics

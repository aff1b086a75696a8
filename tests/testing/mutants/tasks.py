"""Broken tasks: that of the piano roll example with a method that is wrong, each with a data set of it."""

# B batch, T time, N notes

from dataclasses import dataclass, replace

import torch
from torchmetrics import Metric

import seqkit
from tests.plugins.piano_roll import Notes, NotesMetrics, NotesPrediction, PianoRoll
from tests.testing.mutants import mutant


def broken(name: str, caught_by: str, says: str, dry_run: bool):
    """Register a task with a data set that has it, and note it as a mutant."""

    def decorate(task):
        class Rolls(PianoRoll):
            def setup(self):
                super().setup()
                own = self.spec.task
                self.spec = replace(self.spec, task=task(own.names, own.frequency))

        Rolls.__name__ = Rolls.__qualname__ = f"{task.__qualname__}Rolls"
        seqkit.register_data(f"{name}_rolls")(Rolls)
        return mutant("task", name, caught_by, says, dry_run, (f"data={name}_rolls",))(seqkit.register_task(name)(task))

    return decorate


class NoDict(NotesMetrics):
    def compute(self):
        return self.nats / self.count


class Vector(NotesMetrics):
    def compute(self):
        return {"loss": torch.stack([self.nats, self.count])}


class MeanOfMeans(Metric):
    def __init__(self):
        super().__init__()
        self.add_state("losses", [], dist_reduce_fx="cat")

    def update(self, prediction, batch):
        metric = NotesMetrics()
        metric.update(prediction, batch)
        self.losses.append(metric.compute()["loss"][None])

    def compute(self):
        return {"loss": torch.cat([*self.losses]).mean(), "f1": torch.ones(())}


class MeanOverDevices(NotesMetrics):
    def __init__(self):
        super().__init__()
        self.add_state("loss", torch.zeros((), dtype=torch.float64), dist_reduce_fx="mean")

    def compute(self):
        return {"loss": self.loss / self.count, "f1": torch.ones(())}

    def update(self, prediction, batch):
        super().update(prediction, batch)
        self.loss = self.nats


@broken("no_dict", "metrics_give_a_number_per_score", "return a dict", True)
@dataclass(frozen=True)
class NoDictOfScores(Notes):
    def metrics(self, spec):
        return NoDict()


@broken("vector_score", "metrics_give_a_number_per_score", "must be one number", True)
@dataclass(frozen=True)
class VectorScore(Notes):
    def metrics(self, spec):
        return Vector()


@broken("task_mean_of_means", "metrics_are_exact_under_any_split", "divide in compute", True)
@dataclass(frozen=True)
class TaskMeanOfMeans(Notes):
    def metrics(self, spec):
        return MeanOfMeans()


@broken("mean_over_devices", "metrics_add_up_over_devices", "dist_reduce_fx='sum'", True)
@dataclass(frozen=True)
class TaskMeanOverDevices(Notes):
    def metrics(self, spec):
        return MeanOverDevices()


@broken("list_in_its_fields", "spec_survives_json", "tuples", True)
@dataclass(frozen=True)
class ListInItsFields(Notes):
    def __post_init__(self):
        object.__setattr__(self, "names", list(self.names))


@broken("head_of_another", "names_a_head_that_serves_it", "no head 'nots'", False)
@dataclass(frozen=True)
class HeadOfAnother(Notes):
    head = "nots"


@broken("answers_of_tensors", "answers_are_plain_json", "not JSON serializable", True)
@dataclass(frozen=True)
class AnswersOfTensors(Notes):
    def answers(self, prediction, spec):
        return [{"notes": row[-1]} for row in prediction.probability_BTN]


@broken("one_answer_in_all", "answers_are_plain_json", "a dict per row", True)
@dataclass(frozen=True)
class OneAnswerInAll(Notes):
    def answers(self, prediction, spec):
        return super().answers(prediction, spec)[:1]


@broken("over_time_by_batches", "over_time_looks_back_alone", "where each is a batch of its own", True)
@dataclass(frozen=True)
class OverTimeByBatches(Notes):
    def over_time(self, spec):
        seen = [0.0]

        def change(prediction, batch):
            seen.append(float(batch.targets.mean()))
            return NotesPrediction((prediction.probability_BTN + seen[-2]) / 2)

        return change


@broken("over_time_of_the_present", "over_time_looks_back_alone", "by the targets of that prediction", True)
@dataclass(frozen=True)
class OverTimeOfThePresent(Notes):
    def over_time(self, spec):
        return lambda prediction, batch: NotesPrediction(batch.targets.float())


@broken("text_of_nothing", "text_of_an_answer_is_a_string", "NoneType", True)
@dataclass(frozen=True)
class TextOfNothing(Notes):
    def text(self, answer):
        " ".join(answer["notes"])


@broken("baseline_of_tensors", "baselines_are_scored_by_the_metrics", "a prediction as a head does", True)
@dataclass(frozen=True)
class BaselineOfTensors(Notes):
    def baselines(self, spec, data, split):
        return {"silence": lambda batch: torch.zeros(batch.targets.shape)}


@broken("baseline_of_the_test_part", "baselines_are_fitted_on_training_data", "data.part('train')", False)
@dataclass(frozen=True)
class BaselineOfTheTestPart(Notes):
    def baselines(self, spec, data, split):
        part = data.part(split)
        frequency_N = torch.stack([part[index] for index in range(len(part))]).mean((0, 1))
        return {"frequency": lambda batch: NotesPrediction(frequency_N.expand(batch.targets.shape))}


@broken("figure_of_axes", "figures_are_of_matplotlib", "matplotlib.figure.Figure", True)
@dataclass(frozen=True)
class FigureOfAxes(Notes):
    def figures(self, results):
        (figure,) = super().figures(results).values()
        return {"piano_roll": figure.axes[0]}


@broken("figure_that_fails", "figures_are_of_matplotlib", "out of bounds", True)
@dataclass(frozen=True)
class FigureThatFails(Notes):
    def figures(self, results):
        return super().figures(results) | {"eighth": results.prediction.probability_BTN[100]}

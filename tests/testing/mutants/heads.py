"""Broken heads, most of them a built-in one with a method that is wrong."""

# B batch, T time, H output size of the model, C classes

from dataclasses import replace

import torch
from torch import Tensor, nn
from torchmetrics import Metric

import seqkit
from seqkit.tasks.classify.head import Classify
from seqkit.tasks.next_token.head import NextTokenHead
from tests.testing.mutants import mutant

TIMING = ("data=timing", "data.distance=10", "data.pulses=3", "data.offset=200", "data.seed=1", "data.train_size=16",
          "data.valid_size=7", "data.test_size=7", "data.batch_size=4")  # fmt: skip
TEXT = ("data=python_source", "data.seq_len=256", "data.batch_size=4", "data.eval_streams=3")


@mutant("head", "mean_loss", "loss_is_the_sum_over_the_rows", "not their mean", True, TIMING)
@seqkit.register_head("mean_loss")
class MeanLoss(Classify):
    """The mean over the batch, with the count by which it will be divided again."""

    def loss(self, outputs, lengths, batch):
        total, count = super().loss(outputs, lengths, batch)
        return total / count, count


@mutant("head", "count_of_padding", "loss_is_the_sum_over_the_rows", "without padding", True, TEXT)
@seqkit.register_head("count_of_padding")
class CountOfPadding(NextTokenHead):
    """Padded tokens have no loss, and count."""

    def loss(self, logits_BTV, lengths_B, batch):
        total, _ = super().loss(logits_BTV, lengths_B, batch)
        return total, batch.targets.numel()


@mutant("head", "loss_of_padding", "loss_is_the_sum_over_the_rows", "without padding", True, TEXT)
@seqkit.register_head("loss_of_padding")
class LossOfPadding(NextTokenHead):
    """The lengths are forgotten, so that the padding is to be learned too."""

    def loss(self, logits_BTV, lengths_B, batch):
        return super().loss(logits_BTV, None, batch)


@mutant("head", "loss_alone", "loss_is_a_total_and_a_count", "returned Tensor", True, TIMING)
@seqkit.register_head("loss_alone")
class LossAlone(Classify):
    """A loss as torch's own functions return it."""

    def loss(self, outputs, lengths, batch):
        return nn.functional.cross_entropy(outputs, batch.targets)


@mutant("head", "loss_per_row", "loss_is_a_total_and_a_count", "it must be one number", True, TIMING)
@seqkit.register_head("loss_per_row")
class LossPerRow(Classify):
    """The loss of each row, not summed."""

    def loss(self, outputs, lengths, batch):
        return nn.functional.cross_entropy(outputs, batch.targets, reduction="none"), len(batch)


@mutant(
    "head", "detached", "loss_has_a_gradient_for_every_parameter", "the model's output gets no gradient", True, TIMING
)
@seqkit.register_head("detached")
class Detached(Classify):
    """The model gets no gradient, so that only the head is trained."""

    def forward(self, y_BTH, lengths_B, batch):
        return super().forward(y_BTH.detach(), lengths_B, batch)


@mutant("head", "unused", "loss_has_a_gradient_for_every_parameter", "hidden.weight gets no gradient", True, TIMING)
@seqkit.register_head("unused")
class Unused(Classify):
    """A layer that is made, and never called."""

    def __init__(self, output_size: int, spec: seqkit.DataSpec, causal: bool) -> None:
        super().__init__(output_size, spec, causal)
        self.hidden = nn.Linear(output_size, output_size)


@mutant("head", "log_of_scores", "outputs_are_floats_and_no_nan", "outputs are NaN", True, TIMING)
@seqkit.register_head("log_of_scores")
class LogOfScores(Classify):
    """The logarithm of numbers that are no probabilities."""

    def forward(self, y_BTH, lengths_B, batch):
        return super().forward(y_BTH, lengths_B, batch).log()


@mutant("head", "mean_over_padding", "prediction_does_not_depend_on_the_batch", "padded from", True, TIMING)
@seqkit.register_head("mean_over_padding")
class MeanOverPadding(Classify):
    """The mean over all steps of the batch, padded ones too."""

    def pool(self, y_BTH, lengths_B):
        return y_BTH.mean(1)


@mutant("head", "last_of_the_batch", "prediction_does_not_depend_on_the_batch", "padded from", True, TIMING)
@seqkit.register_head("last_of_the_batch")
class LastOfTheBatch(Classify):
    """The last step of the longest row, which is padding in the others."""

    def pool(self, y_BTH, lengths_B):
        return y_BTH[:, -1]


@mutant("head", "batch_statistics", "prediction_does_not_depend_on_the_batch", "among others", True, TIMING)
@seqkit.register_head("batch_statistics")
class BatchStatistics(Classify):
    """Outputs relative to the mean of the batch, in evaluation too."""

    def pool(self, y_BTH, lengths_B):
        pooled_BH = super().pool(y_BTH, lengths_B)
        return pooled_BH - pooled_BH.mean(0)


@mutant("head", "dropout_in_evaluation", "evaluation_is_deterministic", "in training only", True, TIMING)
@seqkit.register_head("dropout_in_evaluation")
class DropoutInEvaluation(Classify):
    """torch's function drops unless it is told that this is no training."""

    def pool(self, y_BTH, lengths_B):
        return nn.functional.dropout(super().pool(y_BTH, lengths_B), 0.5)


@mutant("head", "monitor_lower", "monitor_names_a_score_and_a_direction", "'lower'", True, TIMING)
@seqkit.register_head("monitor_lower")
class MonitorLower(Classify):
    """A direction that is neither min nor max."""

    monitor = ("loss", "lower")


@mutant("head", "monitor_of_nothing", "monitor_names_a_score_and_a_direction", "accuracy, macro_f1, loss", True, TIMING)
@seqkit.register_head("monitor_of_nothing")
class MonitorOfNothing(Classify):
    """A score that no metric gives."""

    monitor = ("mse", "min")


@mutant("head", "monitor_alone", "monitor_names_a_score_and_a_direction", "('loss', 'min')", True, TIMING)
@seqkit.register_head("monitor_alone")
class MonitorAlone(Classify):
    """A score without a direction."""

    monitor = "loss"


@mutant("head", "needs_targets", "prediction_needs_no_targets", "do without batch.targets", True, TIMING)
@seqkit.register_head("needs_targets")
class NeedsTargets(Classify):
    """Shaped by the targets, of which a user who predicts has none."""

    def predict(self, outputs, lengths, batch):
        return super().predict(outputs.view(len(batch.targets), -1), lengths, batch)


@mutant("head", "peeks_at_targets", "prediction_needs_no_targets", "must not look at them", True, TIMING)
@seqkit.register_head("peeks_at_targets")
class PeeksAtTargets(Classify):
    """A hint from the target, left over from teacher forcing."""

    def predict(self, outputs, lengths, batch):
        if batch.targets is None:
            return super().predict(outputs, lengths, batch)
        return super().predict(outputs + nn.functional.one_hot(batch.targets, outputs.shape[1]), lengths, batch)


@mutant("head", "own_prediction", "metrics_of_the_task_read_the_prediction", "the prediction of the task", True, TIMING)
@seqkit.register_head("own_prediction")
class OwnPrediction(Classify):
    """A prediction of its own, which nothing of the task can read."""

    def predict(self, outputs, lengths, batch):
        return {"label": outputs.argmax(1)}


@mutant("head", "one_answer", "answers_have_an_entry_per_row", "1 answers for 7 rows", True, TIMING)
@seqkit.register_head("one_answer")
class OneAnswer(Classify):
    """The batch averaged away where nobody scores."""

    def predict(self, outputs, lengths, batch):
        prediction = super().predict(outputs, lengths, batch)
        return prediction if self.training else replace(prediction, logits_BC=outputs.mean(0, keepdim=True))


class MeanOfMeans(Metric):
    """The mean over batches of the mean over their rows."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("batches", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, prediction, batch):
        self.total += prediction.logits_BC.double().logsumexp(1).mean()
        self.batches += 1

    def compute(self) -> dict[str, Tensor]:
        return {"evidence": self.total / self.batches}


class KeptAside(MeanOfMeans):
    """Sums, in attributes that torchmetrics does not know as states."""

    def __init__(self) -> None:
        super().__init__()
        self.sum, self.count = 0.0, 0

    def update(self, prediction, batch):
        self.sum += float(prediction.logits_BC.double().logsumexp(1).sum())
        self.count += len(batch)

    def compute(self) -> dict[str, Tensor]:
        return {"evidence": torch.tensor(self.sum / self.count)}


@mutant("head", "mean_of_means", "own_metrics_are_exact_under_any_split", "divide in compute", True, TIMING)
@seqkit.register_head("mean_of_means")
class OwnMeanOfMeans(Classify):
    """A score that changes with the batch size."""

    def metrics(self):
        return MeanOfMeans()


@mutant("head", "kept_aside", "own_metrics_add_up_over_devices", "add_state", True, TIMING)
@seqkit.register_head("kept_aside")
class OwnKeptAside(Classify):
    """A score of the rows of one device."""

    def metrics(self):
        return KeptAside()


@mutant("head", "no_metric", "own_metrics_are_exact_under_any_split", "torchmetrics.Metric", True, TIMING)
@seqkit.register_head("no_metric")
class NoMetric(Classify):
    """A function where a metric belongs."""

    def metrics(self):
        return {"evidence": lambda prediction, batch: 0.0}


@mutant("head", "forgetful_stream", "stream_equals_the_whole", "keep in memory", False, TIMING)
@seqkit.register_head("forgetful_stream")
class ForgetfulStream(Classify):
    """The mean over the chunk, not over all chunks so far."""

    def stream(self, y_BTH, batch, memory):
        return super().stream(y_BTH, batch, None)


@mutant("head", "outside_the_state", "state_dict_restores_the_prediction", "a parameter or a buffer", False, TIMING)
@seqkit.register_head("outside_the_state")
class OutsideTheState(Classify):
    """A random projection, drawn anew by every process that loads a checkpoint."""

    def __init__(self, output_size: int, spec: seqkit.DataSpec, causal: bool) -> None:
        super().__init__(output_size, spec, causal)
        self.projection = torch.randn(output_size, output_size)

    def pool(self, y_BTH, lengths_B):
        return super().pool(y_BTH, lengths_B) @ self.projection.to(y_BTH.device)


@mutant("head", "of_any_task", "another_task_is_refused_in_one_line", "names spec.task.head", False, TIMING)
@seqkit.register_head("of_any_task")
class OfAnyTask(nn.Module):
    """It takes what it is given, and fails in its middle."""

    monitor = ("accuracy", "max")

    def __init__(self, output_size: int, spec: seqkit.DataSpec, causal: bool) -> None:
        super().__init__()
        self.output = nn.Linear(output_size, len(spec.task.names))

    def forward(self, y_BTH, lengths_B, batch):
        return self.output(y_BTH[torch.arange(len(y_BTH)), -1 if lengths_B is None else lengths_B - 1])

    def loss(self, outputs, lengths, batch):
        return nn.functional.cross_entropy(outputs, batch.targets, reduction="sum"), len(batch)

    def predict(self, outputs, lengths, batch):
        return seqkit.ClassPrediction(outputs)

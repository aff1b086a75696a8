"""Metrics of classification, from the confusion matrix."""

# B batch, C classes

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.functional.classification import multiclass_confusion_matrix

from seqkit.contracts.batch import Batch
from seqkit.tasks.classify.prediction import ClassPrediction


class ClassifyMetrics(Metric):
    """Accuracy, macro F1 and mean cross-entropy.

    ``confusion`` (C, C) counts the sequences of each true class (row) by the class predicted for them (column).

    Args:
        classes: Number of classes C.
    """

    full_state_update = False
    confusion: Tensor  # (C, C)
    loss_sum: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("confusion", torch.zeros(classes, classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: ClassPrediction, batch: Batch) -> None:
        """Add a batch to the counts."""
        assert batch.targets is not None
        predicted_B = prediction.logits_BC.argmax(1)
        self.confusion += multiclass_confusion_matrix(
            predicted_B, batch.targets, self.classes, validate_args=False
        ).long()
        self.loss_sum += nn.functional.cross_entropy(prediction.logits_BC.double(), batch.targets, reduction="sum")

    def compute(self) -> dict[str, Tensor]:
        """Return the scores by name.

        ``macro_f1`` is the mean over the classes that occur, as truth or as prediction, of 2 hits / (true +
        predicted); ``loss`` is in nats per sequence.
        """
        total = self.confusion.sum()
        hits_C = self.confusion.diagonal().double()
        seen_C = (self.confusion.sum(0) + self.confusion.sum(1)).double()
        f1_C = 2 * hits_C / seen_C
        return {
            "accuracy": hits_C.sum() / total,
            "macro_f1": f1_C[seen_C > 0].mean(),
            "loss": self.loss_sum / total,
        }

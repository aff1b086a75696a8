"""Metrics of polyphonic music."""

# B batch, T time, N = 88 keys

import torch
from torch import nn
from torchmetrics import Metric

from seqkit import valid


class NotesMetrics(Metric):
    """Negative log-likelihood and frame accuracy, both as in Boulanger-Lewandowski et al. 2012 (arXiv:1206.6392).

    nll = mean over steps of the sum over keys of -(x log p + (1 - x) log(1 - p)), in nats per step
    frame_accuracy = TP / (TP + FP + FN), over all steps and keys; a key is expected where p > 1/2 (Bay et al. 2009)
    """

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        for name in ("nats", "steps", "hits", "errors"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction, batch):
        """Add the valid steps of a batch."""
        mask_BT = valid(batch.lengths, batch.targets)
        logits_SN, truth_SN = prediction.logits_BTN[mask_BT].double(), batch.targets[mask_BT].double()
        self.nats += nn.functional.binary_cross_entropy_with_logits(logits_SN, truth_SN, reduction="sum")
        self.steps += len(truth_SN)
        expected_SN = logits_SN > 0
        self.hits += (expected_SN & (truth_SN > 0)).sum()
        self.errors += (expected_SN != (truth_SN > 0)).sum()

    def compute(self):
        """Return the scores by name; where no note sounds and none is expected, the accuracy is 1."""
        notes = self.hits + self.errors
        accuracy = torch.where(notes > 0, self.hits / notes.clamp(min=1), torch.ones_like(notes))
        return {"nll": self.nats / self.steps, "frame_accuracy": accuracy}

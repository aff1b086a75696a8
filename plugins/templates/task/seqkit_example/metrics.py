"""Metrics of yes or no at every step."""

# B batch, T time

import torch
from torch import nn
from torchmetrics import Metric

from seqkit import valid


class ExampleMetrics(Metric):
    """Error rate in 0 to 1, and mean loss in nats per step: sums here, divided at the end."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("errors", "nats", "steps"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction, batch):
        """Add the valid steps of a batch."""
        mask_BT = valid(prediction.lengths_B, prediction.logits_BT)
        logits, targets = prediction.logits_BT[mask_BT].double(), batch.targets[mask_BT].double()
        self.errors += ((logits > 0) != (targets > 0.5)).sum()
        self.nats += nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        self.steps += mask_BT.sum()

    def compute(self):
        """Return the scores by name."""
        return {"error_rate": self.errors / self.steps, "loss": self.nats / self.steps}

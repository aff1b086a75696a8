"""Yes or no at every step: the task, its prediction and its baseline."""

# B batch, T time

from dataclasses import dataclass

import torch
from torch import Tensor

import seqkit


@dataclass(frozen=True)
class ExamplePrediction:
    """Log odds of yes at each step (B, T), and the valid steps of each row (B,), None where all are."""

    logits_BT: Tensor
    lengths_B: Tensor | None = None


@seqkit.register_task("example")
@dataclass(frozen=True)
class ExampleTask:
    """Yes or no at every step.

    Attributes:
        share: Of yes in the training split, in 0 to 1.
    """

    head = "example"
    share: float

    def metrics(self, spec):
        from seqkit_example.metrics import ExampleMetrics  # torchmetrics is slow to import

        return ExampleMetrics()

    def baselines(self, spec, data, split):
        logit = torch.tensor(self.share).logit(eps=1e-6)  # finite where all are alike
        return {"share of yes": lambda batch: ExamplePrediction(logit.expand(batch.targets.shape), batch.lengths)}

    def answers(self, prediction, spec):
        """Return the probability of yes at each valid step of each row."""
        rows = prediction.logits_BT.sigmoid().tolist()
        ends = [len(row) for row in rows] if prediction.lengths_B is None else prediction.lengths_B.tolist()
        return [{"probability": row[:end]} for row, end in zip(rows, ends, strict=True)]

    def text(self, answer):
        return "".join("1" if probability > 0.5 else "0" for probability in answer["probability"])

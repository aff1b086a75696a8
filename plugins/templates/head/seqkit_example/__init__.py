"""A head: a loss of its own for a task that seqkit knows."""

# B batch, T time, H output size of the model, C classes

from pydantic import NonNegativeInt
from torch import nn

import seqkit
from seqkit import Classes, ClassPrediction, ConfigError, DataSpec, valid


@seqkit.register_head("example")
class ExampleHead(nn.Module):
    """One class per sequence, by the focal loss (Lin et al. 2017, arXiv:1708.02002) on the mean output of the model.

    loss = -(1 - p)^focus log p, p the probability of the true class

    Args:
        focus: How much less a sequence counts that is right already; 0 is the cross-entropy.

    Raises:
        ConfigError: The targets of the data are not classes.
    """

    monitor = ("accuracy", "max")
    meaning = "logits of the classes, in the order of spec.task.names"

    def __init__(self, output_size: int, spec: DataSpec, causal: bool, *, focus: NonNegativeInt = 2) -> None:
        super().__init__()
        if not isinstance(spec.task, Classes):
            task = type(spec.task).__name__
            raise ConfigError(f"head=example needs classes, this data has {task}; use head={spec.task.head}")
        self.focus = focus
        self.output = nn.Linear(output_size, len(spec.task.names))

    def forward(self, y_BTH, lengths_B, batch):
        """Map y_BTH to logits_BC, by the valid steps only."""
        valid_BT1 = valid(lengths_B, y_BTH)[..., None]
        mean_BH = y_BTH.masked_fill(~valid_BT1, 0).sum(1) / valid_BT1.sum(1)
        return self.output(mean_BH)

    def loss(self, outputs, lengths_B, batch):
        """Return the summed loss, in nats, and the number of sequences."""
        nats_B = nn.functional.cross_entropy(outputs, batch.targets, reduction="none")
        loss_B = (1 - (-nats_B).exp()) ** self.focus * nats_B
        return loss_B.sum(), len(batch)

    def predict(self, outputs, lengths_B, batch):
        """Return the task's own prediction; from it come metrics, baselines, figures and text."""
        return ClassPrediction(outputs)

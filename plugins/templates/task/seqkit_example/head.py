"""The head of the task: a linear layer at every step."""

# B batch, T time, H output size of the model

from torch import nn

import seqkit
from seqkit import ConfigError, DataSpec, valid
from seqkit_example.task import ExamplePrediction, ExampleTask


@seqkit.register_head("example")
class ExampleHead(nn.Module):
    """Yes or no at every step, by binary cross-entropy.

    Raises:
        ConfigError: The data has another task.
    """

    monitor = ("error_rate", "min")
    meaning = "log odds of yes at each step"

    def __init__(self, output_size: int, spec: DataSpec, causal: bool) -> None:
        super().__init__()
        if not isinstance(spec.task, ExampleTask):
            task = type(spec.task).__name__
            raise ConfigError(f"head=example needs yes or no, this data has {task}; use head={spec.task.head}")
        self.output = nn.Linear(output_size, 1)

    def forward(self, y_BTH, lengths_B, batch):
        """Map y_BTH to logits_BT."""
        return self.output(y_BTH).squeeze(2)

    def loss(self, outputs, lengths_B, batch):
        """Return the summed loss, in nats, and the number of valid steps."""
        mask_BT = valid(lengths_B, outputs)
        loss = nn.functional.binary_cross_entropy_with_logits(outputs[mask_BT], batch.targets[mask_BT], reduction="sum")
        return loss, mask_BT.sum()

    def predict(self, outputs, lengths_B, batch):
        return ExamplePrediction(outputs, lengths_B)

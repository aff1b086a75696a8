"""Regression head: the outputs of all steps pooled to one vector, then a linear layer."""

# B batch, T time, H output size of the model, C targets

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec, wrong_task
from seqkit.precision import widened
from seqkit.registry import register_head
from seqkit.schema import Probability
from seqkit.tasks.pooling import Pooling, pool, pool_stream, refuse_odd
from seqkit.tasks.regress.prediction import NumberPrediction
from seqkit.tasks.regress.spec import Numbers

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


@register_head("regress")
class Regress(nn.Module):
    """Numbers per sequence, from the pooled outputs of the model.

    Args:
        pooling: How the steps become one vector: ``mean`` or ``max`` of each output over the valid steps, ``last``
            the last valid step, ``attention`` a mean with learned weights. With a bidirectional model ``last`` takes
            the forward half at the last valid step and the backward half at the first, where each has read it all.
        loss: Mean squared error, mean absolute error, or Huber's (squared below one deviation, absolute above), in
            units of the training split's deviation.
        dropout: Probability that an element of the pooled vector is dropped in training.

    Raises:
        ConfigError: The targets of the data are not numbers, or a bidirectional model has an odd number of outputs.
    """

    monitor: tuple[str, Literal["min", "max"]] = ("mse", "min")
    meaning = "the numbers in deviations: value = output * spec.task.scale + spec.task.mean"
    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        output_size: int,
        spec: DataSpec,
        causal: bool,
        *,
        pooling: Pooling = "mean",
        loss: Literal["mse", "mae", "huber"] = "mse",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        if not isinstance(spec.task, Numbers):
            raise wrong_task("regress", "numbers", spec)
        refuse_odd(pooling, output_size, causal)
        self.task = spec.task
        self.spec = spec
        self.causal = causal
        self.pooling = pooling
        self.loss_function = LOSSES[loss]
        # Not in the state dict: the spec is saved beside it and says the same.
        self.register_buffer("mean", torch.tensor(spec.task.mean), persistent=False)
        self.register_buffer("scale", torch.tensor(spec.task.scale), persistent=False)
        self.attention = nn.Linear(output_size, 1) if pooling == "attention" else None
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(output_size, len(self.task.names))
        self.row_names = dict.fromkeys(("output.weight", "output.bias"), self.task.names)

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to the numbers (B, C), in deviations from the training split's mean."""
        pooled_BH = pool(y_BTH, lengths_B, self.pooling, self.attention, self.causal)
        return widened(self.output(self.dropout(pooled_BH)))

    def stream(
        self, y_BTH: Tensor, batch: Batch, memory: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, dict[str, Any], tuple[Tensor, ...]]:
        """Return the numbers for all steps so far, as a tensor and as an answer; see ``pool_stream``."""
        pooled_BH, memory = pool_stream(y_BTH, memory, self.pooling, self.attention)
        outputs = widened(self.output(self.dropout(pooled_BH)))
        return outputs, self.task.answers(self.predict(outputs, None, batch), self.spec)[0], memory

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed loss and the number of values predicted."""
        assert batch.targets is not None
        return self.loss_function(outputs, (batch.targets - self.mean) / self.scale, reduction="sum"), outputs.numel()

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> NumberPrediction:
        mean_C, scale_C = (outputs.new_tensor(own, dtype=torch.float64) for own in (self.task.mean, self.task.scale))
        return NumberPrediction(outputs.double() * scale_C + mean_C)

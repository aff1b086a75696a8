"""Classification head: the outputs of all steps pooled to one vector, then a linear layer."""

# B batch, T time, H output size of the model, C classes

from typing import Any, Literal

from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec, wrong_task
from seqkit.precision import widened
from seqkit.registry import register_head
from seqkit.schema import Probability
from seqkit.tasks.classify.prediction import ClassPrediction
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.pooling import Pooling, pool, pool_stream, refuse_odd


@register_head("classify")
class Classify(nn.Module):
    """One class per sequence, by cross-entropy on the pooled outputs of the model.

    Args:
        pooling: How the steps become one vector: ``mean`` or ``max`` of each output over the valid steps, ``last``
            the last valid step, ``attention`` a mean with learned weights. With a bidirectional model ``last`` takes
            the forward half at the last valid step and the backward half at the first, where each has read it all.
        dropout: Probability that an element of the pooled vector is dropped in training.
        label_smoothing: Label smoothing: probability mass of the target spread evenly over all classes.

    Raises:
        ConfigError: The targets of the data are not classes, or a bidirectional model has an odd number of outputs.
    """

    monitor: tuple[str, Literal["min", "max"]] = ("accuracy", "max")
    meaning = "logits of the classes, in the order of spec.task.names"

    def __init__(
        self,
        output_size: int,
        spec: DataSpec,
        causal: bool,
        *,
        pooling: Pooling = "mean",
        dropout: Probability = 0.0,
        label_smoothing: Probability = 0.0,
    ) -> None:
        super().__init__()
        if not isinstance(spec.task, Classes):
            raise wrong_task("classify", "classes", spec)
        refuse_odd(pooling, output_size, causal)
        self.task = spec.task
        self.spec = spec
        self.causal = causal
        self.pooling = pooling
        self.label_smoothing = label_smoothing
        self.attention = nn.Linear(output_size, 1) if pooling == "attention" else None
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(output_size, len(self.task.names))
        self.row_names = dict.fromkeys(("output.weight", "output.bias"), self.task.names)

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to logits_BC."""
        return widened(self.output(self.dropout(self.pool(y_BTH, lengths_B))))

    def pool(self, y_BTH: Tensor, lengths_B: Tensor | None) -> Tensor:
        """Map y_BTH to pooled_BH, from the valid steps only."""
        return pool(y_BTH, lengths_B, self.pooling, self.attention, self.causal)

    def stream(
        self, y_BTH: Tensor, batch: Batch, memory: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, dict[str, Any], tuple[Tensor, ...]]:
        """Return the logits and the label of all steps so far, and their memory; see ``pool_stream``."""
        pooled_BH, memory = pool_stream(y_BTH, memory, self.pooling, self.attention)
        outputs = widened(self.output(self.dropout(pooled_BH)))
        return outputs, self.task.answers(ClassPrediction(outputs), self.spec)[0], memory

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed cross-entropy, in nats, and the number of sequences."""
        assert batch.targets is not None
        smoothing = self.label_smoothing if self.training else 0.0
        loss = nn.functional.cross_entropy(outputs, batch.targets, reduction="sum", label_smoothing=smoothing)
        return loss, len(batch)

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> ClassPrediction:
        return ClassPrediction(outputs)

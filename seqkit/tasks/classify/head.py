"""Classification head: the outputs of all steps pooled to one vector, then a linear layer."""

# B batch, T time, H output size of the model, C classes

from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec, wrong_task
from seqkit.errors import ConfigError
from seqkit.padding import sequence_summary, valid, widened
from seqkit.registry import register_head
from seqkit.schema import Probability
from seqkit.tasks.classify.prediction import ClassPrediction
from seqkit.tasks.classify.spec import Classes


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
        pooling: Literal["last", "mean", "max", "attention"] = "mean",
        dropout: Probability = 0.0,
        label_smoothing: Probability = 0.0,
    ) -> None:
        super().__init__()
        if not isinstance(spec.task, Classes):
            raise wrong_task("classify", "classes", spec)
        if pooling == "last" and not causal and output_size % 2:
            raise ConfigError(
                f"head.pooling=last needs a forward and a backward half, this model has {output_size} outputs; "
                "use head.pooling=mean"
            )
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
        if self.pooling == "last":
            return sequence_summary(y_BTH, lengths_B, self.causal)
        valid_BT1 = valid(lengths_B, y_BTH)[..., None]
        if self.pooling == "max":
            return y_BTH.masked_fill(~valid_BT1, -torch.inf).amax(1)
        if self.attention is None:
            return (y_BTH * valid_BT1).sum(1) / valid_BT1.sum(1)
        weights_BT1 = widened(self.attention(y_BTH)).masked_fill(~valid_BT1, -torch.inf).softmax(1)
        return (y_BTH * weights_BT1).sum(1)

    def stream(
        self, y_BTH: Tensor, batch: Batch, memory: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, dict[str, Any], tuple[Tensor, ...]]:
        """Return the logits and the label of all steps so far, from the new steps and the memory of the earlier ones.

        Args:
            y_BTH: New steps of a causal model, one or more.
            batch: Not used.
            memory: What was returned with the steps before, None at the first: of each output its greatest value; or
                the greatest attention score, and relative to it the sums of the weights and of the weighted outputs.
        """
        if self.pooling == "last":
            pooled_BH, memory = y_BTH[:, -1], ()
        elif self.pooling == "max":
            pooled_BH = (y_BTH if not memory else torch.cat((memory[0][:, None], y_BTH), 1)).amax(1)
            memory = (pooled_BH,)
        else:  # the mean is attention with even scores
            scores_BT1 = torch.zeros_like(y_BTH[..., :1]) if self.attention is None else self.attention(y_BTH)
            scores_BT1, exact_BTH = scores_BT1.double(), y_BTH.double()  # a float32 stops counting at 2**24 steps
            best_B1 = scores_BT1.amax(1)
            if memory:
                best_B1 = torch.maximum(best_B1, memory[0])
            weights_BT1 = (scores_BT1 - best_B1[:, None]).exp()
            total_B1, summed_BH = weights_BT1.sum(1), (exact_BTH * weights_BT1).sum(1)
            if memory:
                faded_B1 = (memory[0] - best_B1).exp()
                total_B1, summed_BH = total_B1 + faded_B1 * memory[1], summed_BH + faded_B1 * memory[2]
            pooled_BH, memory = (summed_BH / total_B1).to(y_BTH.dtype), (best_B1, total_B1, summed_BH)
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

"""The outputs of all steps as one vector per sequence: of a whole sequence, or step after step."""

# B batch, T time, H output size of the model

from typing import Literal

import torch
from torch import Tensor, nn

from seqkit.errors import ConfigError
from seqkit.padding import sequence_summary, valid
from seqkit.precision import widened

Pooling = Literal["last", "mean", "max", "attention"]


def refuse_odd(pooling: Pooling, output_size: int, causal: bool) -> None:
    """Refuse to take the last step of both directions of a model that has no output per direction."""
    if pooling == "last" and not causal and output_size % 2:
        raise ConfigError(
            f"head.pooling=last needs a forward and a backward half, this model has {output_size} outputs; "
            "use head.pooling=mean"
        )


def pool(
    y_BTH: Tensor, lengths_B: Tensor | None, pooling: Pooling, attention: nn.Linear | None, causal: bool
) -> Tensor:
    """Map y_BTH to pooled_BH, from the valid steps only."""
    if pooling == "last":
        return sequence_summary(y_BTH, lengths_B, causal)
    valid_BT1 = valid(lengths_B, y_BTH)[..., None]
    if pooling == "max":
        return y_BTH.masked_fill(~valid_BT1, -torch.inf).amax(1)
    if attention is None:
        return (y_BTH * valid_BT1).sum(1) / valid_BT1.sum(1)
    weights_BT1 = widened(attention(y_BTH)).masked_fill(~valid_BT1, -torch.inf).softmax(1)
    return (y_BTH * weights_BT1).sum(1)


def pool_stream(
    y_BTH: Tensor, memory: tuple[Tensor, ...] | None, pooling: Pooling, attention: nn.Linear | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return pooled_BH of all steps so far, from the new ones and the memory of the earlier ones, and the new memory.

    Args:
        y_BTH: New steps of a causal model, one or more.
        memory: What was returned with the steps before, None at the first: of each output its greatest value; or the
            greatest attention score, and relative to it the sums of the weights and of the weighted outputs.
        pooling: As of ``pool``.
        attention: Likewise.
    """
    if pooling == "last":
        return y_BTH[:, -1], ()
    if pooling == "max":
        pooled_BH = (y_BTH if not memory else torch.cat((memory[0][:, None], y_BTH), 1)).amax(1)
        return pooled_BH, (pooled_BH,)
    # The mean is attention with even scores.
    scores_BT1 = torch.zeros_like(y_BTH[..., :1]) if attention is None else attention(y_BTH)
    scores_BT1, exact_BTH = scores_BT1.double(), y_BTH.double()  # a float32 stops counting at 2**24 steps
    best_B1 = scores_BT1.amax(1)
    if memory:
        best_B1 = torch.maximum(best_B1, memory[0])
    weights_BT1 = (scores_BT1 - best_B1[:, None]).exp()
    total_B1, summed_BH = weights_BT1.sum(1), (exact_BTH * weights_BT1).sum(1)
    if memory:
        faded_B1 = (memory[0] - best_B1).exp()
        total_B1, summed_BH = total_B1 + faded_B1 * memory[1], summed_BH + faded_B1 * memory[2]
    return (summed_BH / total_B1).to(y_BTH.dtype), (best_B1, total_B1, summed_BH)

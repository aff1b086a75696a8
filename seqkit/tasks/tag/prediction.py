"""Prediction of a tag per step."""

# B batch, T time

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TagPrediction:
    """Predicted tags.

    Attributes:
        tags_BT: Id of each step's tag.
        lengths_B: Valid steps of each row; None where all are.
        probability_BT: Of these tags; None where there is none.
        nats_B: Negative log likelihood of each row's true tags; None without a probability or without truth.
        inputs: That were tagged, batch first; None where answers need not name them.
    """

    tags_BT: Tensor
    lengths_B: Tensor | None
    probability_BT: Tensor | None = None
    nats_B: Tensor | None = None
    inputs: Tensor | None = None

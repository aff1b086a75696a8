"""Prediction of the token after each token."""

# B batch, T time, V vocabulary

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TokenPrediction:
    """Unnormalised log probabilities of the token after each step, logits_BTV; ``lengths_B`` are the valid steps."""

    logits_BTV: Tensor
    lengths_B: Tensor | None = None

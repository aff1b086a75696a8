"""Prediction of a class per sequence."""

# B batch, C classes

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ClassPrediction:
    """Unnormalised log probabilities of the classes, logits_BC."""

    logits_BC: Tensor

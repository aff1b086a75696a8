"""Prediction of a transcript per sequence."""

# B batch

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TranscriptPrediction:
    """The text of each row.

    ``nats_B`` is the negative log likelihood of each row's true transcript, infinite where the sound is too short for
    it; None where there is no true transcript, or the predictor gives no probabilities.
    """

    texts: list[str]
    nats_B: Tensor | None = None

"""Scores of a language model, weighted by tokens."""

# B batch, T time, V vocabulary

import math

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from seqkit.contracts import Batch
from seqkit.data.batching import valid


class NextTokenScores(Metric):
    """Cross entropy in nats a token, its perplexity, and the fraction of tokens that were the likeliest.

    Args:
        unit: ``char`` adds bits per character.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False

    nats: Tensor
    tokens: Tensor
    correct: Tensor

    def __init__(self, unit: str):
        super().__init__()
        self.unit = unit
        self.add_state("nats", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("tokens", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("correct", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits_BTV: Tensor, lengths_B: Tensor | None, batch: Batch) -> None:
        """Add a batch."""
        targets_BT = batch.targets
        assert targets_BT is not None
        nats_N = nn.functional.cross_entropy(logits_BTV.float().flatten(0, 1), targets_BT.reshape(-1), reduction="none")
        correct_BT = logits_BTV.argmax(-1) == targets_BT
        if lengths_B is None:
            self.tokens += targets_BT.numel()
        else:
            mask_BT = valid(lengths_B, targets_BT)
            nats_N, correct_BT = nats_N[mask_BT.reshape(-1)], correct_BT[mask_BT]
            self.tokens += lengths_B.sum()
        self.nats += nats_N.double().sum()
        self.correct += correct_BT.sum()

    def compute(self) -> dict[str, Tensor]:
        """Return the scores by name."""
        loss = self.nats / self.tokens
        scores = {"loss": loss, "perplexity": loss.exp(), "accuracy": self.correct.double() / self.tokens}
        return scores | ({"bits_per_character": loss / math.log(2)} if self.unit == "char" else {})

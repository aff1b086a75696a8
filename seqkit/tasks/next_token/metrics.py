"""Metrics of language modelling, weighted by tokens."""

# B batch, T time, V vocabulary

import math

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from seqkit.contracts.batch import Batch
from seqkit.padding import valid
from seqkit.tasks.next_token.prediction import TokenPrediction


class NextTokenMetrics(Metric):
    """Cross-entropy, perplexity, bits per character and per byte, accuracy of the likeliest token.

    Args:
        sizes_V2: Characters and bytes of each token, as ``Tokenizer.sizes`` gives them.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False

    sizes_V2: Tensor
    nats: Tensor
    tokens: Tensor
    correct: Tensor
    characters: Tensor
    size_in_bytes: Tensor

    def __init__(self, sizes_V2: Tensor) -> None:
        super().__init__()
        self.register_buffer("sizes_V2", sizes_V2, persistent=False)
        self.add_state("nats", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        for name in ("tokens", "correct", "characters", "size_in_bytes"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: TokenPrediction, batch: Batch) -> None:
        """Add a batch."""
        targets_BT, logits_BTV = batch.targets, prediction.logits_BTV
        assert targets_BT is not None
        nats_N = nn.functional.cross_entropy(logits_BTV.float().flatten(0, 1), targets_BT.reshape(-1), reduction="none")
        targets_N, correct_N = targets_BT.reshape(-1), (logits_BTV.argmax(-1) == targets_BT).reshape(-1)
        if prediction.lengths_B is not None:
            mask_N = valid(prediction.lengths_B, targets_BT).reshape(-1)
            nats_N, targets_N, correct_N = nats_N[mask_N], targets_N[mask_N], correct_N[mask_N]
        characters, size_in_bytes = self.sizes_V2[targets_N].sum(0)
        self.nats += nats_N.double().sum()
        self.tokens += len(targets_N)
        self.correct += correct_N.sum()
        self.characters += characters
        self.size_in_bytes += size_in_bytes

    def compute(self) -> dict[str, Tensor]:
        """Return the scores by name."""
        accuracy = self.correct.double() / self.tokens
        return text_scores(self.nats, self.tokens, self.characters, self.size_in_bytes) | {"accuracy": accuracy}


def text_scores(nats: Tensor, tokens: Tensor, characters: Tensor, size_in_bytes: Tensor) -> dict[str, Tensor]:
    """Return the scores of a text from its negative log likelihood.

    Args:
        nats: Of all predicted tokens together.
        tokens: Their number.
        characters: Of the text that they stand for.
        size_in_bytes: Of that text in UTF-8.
    """
    loss, bits = nats / tokens, nats / math.log(2)
    return {
        "loss": loss,
        "perplexity": loss.exp(),
        "bits_per_character": bits / characters,
        "bits_per_byte": bits / size_in_bytes,
    }

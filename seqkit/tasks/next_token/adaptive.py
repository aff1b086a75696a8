"""Adaptive softmax (Grave et al. 2017): probabilities of a large vocabulary at a fraction of the cost in training."""

# N rows (steps), H output size of the model, V vocabulary, K clusters of rarer tokens

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from seqkit.errors import ConfigError

DIVISOR = 4  # of the size of a cluster's projection, for each next one


class AdaptiveSoftmax(nn.Module):
    """Softmax over the most frequent tokens and the clusters of the others, and one over the tokens of each cluster.

    A token's id is its rank by frequency, as in the vocabularies of characters and words. A token in a cluster has the
    probability of the cluster times its own within; so the cost in training is that of the clusters that occur.

    Args:
        size: H.
        vocabulary: Tokens by their id.
        cutoffs: Ids at which a next cluster begins, rising; below the first are the most frequent tokens.
        tied: Whether the weights of all tokens are one matrix (V, H), to be shared with an embedding; else those of
            cluster k are behind a projection of y to H / 4^k.

    Attributes:
        row_names: Tokens by parameter.

    Raises:
        ConfigError: The cutoffs do not rise, or are outside the vocabulary.
    """

    def __init__(self, size: int, vocabulary: Sequence[str], cutoffs: Sequence[int], tied: bool) -> None:
        super().__init__()
        self.edges = [0, *cutoffs, len(vocabulary)]
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ConfigError(
                f"head.cutoffs={list(cutoffs)}: give ids that rise, each from 1 to {len(vocabulary) - 1:,}, as the "
                f"vocabulary has {len(vocabulary):,} tokens"
            )
        self.in_features = size
        self.sizes = [high - low for low, high in pairwise(self.edges)]
        self.clusters = nn.Linear(size, len(cutoffs))
        self.row_names: dict[str, Sequence[str]] = {}
        self.weight: nn.Parameter | None = None
        if tied:
            self.weight = nn.Parameter(torch.empty(len(vocabulary), size))
            self.bias = nn.Parameter(torch.zeros(len(vocabulary)))
            self.row_names = {"weight": vocabulary, "bias": vocabulary}
            return
        self.tokens = nn.ModuleList([nn.Linear(size, self.sizes[0])])
        for number, own in enumerate(self.sizes[1:], 1):
            small = max(1, size // DIVISOR**number)
            self.tokens.append(nn.Sequential(nn.Linear(size, small, bias=False), nn.Linear(small, own)))
        for number, (low, high) in enumerate(pairwise(self.edges)):
            inner = f"tokens.{number}.1" if number else "tokens.0"
            self.row_names |= dict.fromkeys((f"{inner}.weight", f"{inner}.bias"), vocabulary[low:high])

    def forward(self, y_NH: Tensor) -> Tensor:
        """Return the log probabilities (N, V) of all tokens; there may be several axes in the place of N."""
        blocks = self._blocks()
        top = torch.cat((blocks[0](y_NH), self.clusters(y_NH)), -1).log_softmax(-1)
        parts = [top[..., : self.sizes[0]]]
        for number, block in enumerate(blocks[1:]):
            parts.append(block(y_NH).log_softmax(-1) + top[..., self.sizes[0] + number, None])
        return torch.cat(parts, -1)

    def nats(self, y_NH: Tensor, targets_N: Tensor) -> Tensor:
        """Return the negative log likelihoods (N,) of the targets."""
        blocks, first = self._blocks(), self.sizes[0]
        clusters_N = torch.bucketize(targets_N, torch.tensor(self.edges[1:-1], device=targets_N.device), right=True)
        places_N = torch.where(clusters_N == 0, targets_N, first - 1 + clusters_N)
        top = torch.cat((blocks[0](y_NH), self.clusters(y_NH)), -1)
        nats_N = nn.functional.cross_entropy(top, places_N, reduction="none")
        for number, block in enumerate(blocks[1:], 1):
            rows = (clusters_N == number).nonzero()[:, 0]  # where there is none, the weights still get a gradient, of 0
            own = targets_N[rows] - self.edges[number]
            within = nn.functional.cross_entropy(block(y_NH[rows]), own, reduction="none")
            nats_N = nats_N.index_add(0, rows, within.to(nats_N.dtype))
        return nats_N

    def _blocks(self) -> list:
        """Return for the most frequent tokens and for each cluster what maps y to the logits of its tokens."""
        if self.weight is None:
            return [*self.tokens]
        parts = zip(self.weight.split(self.sizes), self.bias.split(self.sizes), strict=True)
        return [lambda y_NH, own=own: nn.functional.linear(y_NH, *own) for own in parts]

"""Embedding of tokens."""

# B batch, T time, I embedding size

from collections.abc import Sequence

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from seqkit.contracts.spec import DataSpec, wrong_inputs
from seqkit.dropout import LockedDropout
from seqkit.errors import ConfigError
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import UNKNOWN
from seqkit.inputs.tokens.vectors import use_vectors
from seqkit.registry import register_frontend
from seqkit.schema import Probability


@register_frontend("embedding")
class Embedding(nn.Module):
    """A learned vector per token.

    Args:
        spec: Of the data; its inputs are tokens.
        size: Embedding size.
        vectors: Text file of pretrained vectors, a token and ``size`` numbers per line (GloVe, word2vec, fastText),
            that the embedding starts from.
        token_dropout: Probability of reading a token as ``<unk>`` in training, whose vector is thereby learned.
        dropout: Probability of dropping a feature in training.
        locked_dropout: Let dropout take the same features at all steps of a sequence (Merity et al. 2018).

    Raises:
        ConfigError: The data has no tokens.
    """

    looks_ahead = None  # each token is read by itself, so that a stream can be

    def __init__(
        self,
        spec: DataSpec,
        *,
        size: PositiveInt = 128,
        vectors: str | None = None,
        token_dropout: Probability = 0.0,
        dropout: Probability = 0.0,
        locked_dropout: bool = False,
    ):
        super().__init__()
        if not isinstance(spec.inputs, Tokens):
            raise wrong_inputs("embedding", "tokens", spec)
        check_token_dropout(token_dropout, spec.inputs.vocabulary)
        self.vectors, self.token_dropout = vectors, token_dropout
        self.vocabulary = spec.inputs.vocabulary
        self.output_size = size
        self.embedding = nn.Embedding(len(self.vocabulary), size)
        self.row_names = {"embedding.weight": self.vocabulary}
        self.dropout = LockedDropout(dropout) if locked_dropout else nn.Dropout(dropout)

    def start(self) -> str | None:
        """Let the embedding start from the pretrained vectors."""
        return use_vectors(self.vectors, self.embedding, self.vocabulary)

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return x_BTI and the lengths as they came."""
        if self.training:
            tokens_BT = drop_tokens(tokens_BT, self.token_dropout)
        return self.dropout(self.embedding(tokens_BT)), lengths_B


def check_token_dropout(probability: float, vocabulary: Sequence[str]) -> None:
    """Refuse token dropout where the vocabulary has no ``<unk>`` to read tokens as; raises ``ConfigError``."""
    if probability and vocabulary[0] != UNKNOWN:
        raise ConfigError(
            f"frontend.token_dropout={probability:g} reads tokens as {UNKNOWN}, which this vocabulary has not; use "
            "frontend.dropout"
        )


def drop_tokens(ids: Tensor, probability: float) -> Tensor:
    """Return ids of which each is that of ``<unk>`` with a probability."""
    return ids.masked_fill(torch.rand(ids.shape, device=ids.device) < probability, 0) if probability else ids

"""Embedding of tokens."""

# B batch, T time, I embedding size

from pydantic import PositiveInt
from torch import Tensor, nn

from seqkit.contracts.spec import DataSpec, wrong_inputs
from seqkit.inputs.tokens.spec import Tokens
from seqkit.registry import register_frontend
from seqkit.schema import Probability


@register_frontend("embedding")
class Embedding(nn.Module):
    """A learned vector per token.

    Args:
        spec: Of the data; its inputs are tokens.
        size: Embedding size.
        dropout: Probability of dropping a feature in training.

    Raises:
        ConfigError: The data has no tokens.
    """

    looks_ahead = None  # each token is read by itself, so that a stream can be

    def __init__(self, spec: DataSpec, *, size: PositiveInt = 128, dropout: Probability = 0.0):
        super().__init__()
        if not isinstance(spec.inputs, Tokens):
            raise wrong_inputs("embedding", "tokens", spec)
        self.output_size = size
        self.embedding = nn.Embedding(len(spec.inputs.vocabulary), size)
        self.row_names = {"embedding.weight": spec.inputs.vocabulary}
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return x_BTI and the lengths as they came."""
        return self.dropout(self.embedding(tokens_BT)), lengths_B

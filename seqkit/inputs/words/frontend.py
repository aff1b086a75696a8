"""Embedding of words beside a reader of their characters."""

# B batch, T time (words), C characters of a word, N = B * T words, E embedding size of a character, F features

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from seqkit.contracts.spec import DataSpec, wrong_inputs
from seqkit.inputs.tokens.embedding import check_token_dropout, drop_tokens
from seqkit.inputs.tokens.vectors import use_vectors
from seqkit.inputs.words.spec import SpelledWords
from seqkit.registry import register_frontend
from seqkit.schema import Probability

WIDTH = 3  # of the convolution, in characters
START = 0.25  # largest number of an embedding before training: so little that rare words hardly disturb (Kim 2014)


@register_frontend("words")
class WordsFrontend(nn.Module):
    """A learned vector per word, beside one that a small convolution reads from its characters.

    The convolution's features are the greatest over the places in the word (Ma and Hovy 2016), so that a word that was
    never seen is known by its prefixes and endings.

    Args:
        spec: Of the data; its inputs are words with characters.
        size: Embedding size of a word.
        vectors: Text file of pretrained vectors, a word and ``size`` numbers per line (GloVe, word2vec, fastText),
            that the embedding starts from.
        character_size: Embedding size of a character.
        spelling_size: Features read from the characters; 0 reads none.
        token_dropout: Probability of reading a word as ``<unk>`` in training; its characters stay.
        dropout: Probability of dropping a feature in training.

    Raises:
        ConfigError: The data has no words with characters.
    """

    looks_ahead = None  # each word is read by itself, so that a stream can be

    def __init__(
        self,
        spec: DataSpec,
        *,
        size: PositiveInt = 100,
        vectors: str | None = None,
        character_size: PositiveInt = 30,
        spelling_size: NonNegativeInt = 50,
        token_dropout: Probability = 0.0,
        dropout: Probability = 0.0,
    ):
        super().__init__()
        if not isinstance(spec.inputs, SpelledWords):
            raise wrong_inputs("words", "words with characters", spec)
        check_token_dropout(token_dropout, spec.inputs.vocabulary)
        self.vectors, self.token_dropout = vectors, token_dropout
        self.vocabulary = spec.inputs.vocabulary
        self.output_size = size + spelling_size
        self.embedding = nn.Embedding(len(self.vocabulary), size)
        self.row_names = {"embedding.weight": self.vocabulary}
        nn.init.uniform_(self.embedding.weight, -START, START)
        self.characters: nn.Embedding | None = None
        if spelling_size:
            self.characters = nn.Embedding(len(spec.inputs.characters) + 2, character_size, padding_idx=0)
            self.row_names["characters.weight"] = ("the padding", "an unknown one", *spec.inputs.characters)
            self.convolution = nn.Conv1d(character_size, spelling_size, WIDTH, padding=WIDTH // 2)
        self.dropout = nn.Dropout(dropout)

    def start(self) -> str | None:
        """Let the embedding start from the pretrained vectors."""
        return use_vectors(self.vectors, self.embedding, self.vocabulary)

    def forward(self, inputs_BTS: Tensor, lengths_B: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return x_BTI and the lengths as they came."""
        words_BT = inputs_BTS[..., 0]
        if self.training:
            words_BT = drop_tokens(words_BT, self.token_dropout)
        features = [self.embedding(words_BT)]
        if self.characters is not None:
            features.append(self.spelling(inputs_BTS[..., 1:]))
        return self.dropout(torch.cat(features, 2)), lengths_B

    def spelling(self, ids_BTC: Tensor) -> Tensor:
        """Return features_BTF of words from the ids of their characters."""
        assert self.characters is not None
        ids_NC = ids_BTC.flatten(0, 1)
        features_NFC = self.convolution(self.characters(ids_NC).transpose(1, 2))
        # Above 0 at every place, and 0 where there is no character: the greatest never is of the padding.
        features_NF = (features_NFC.relu() * (ids_NC != 0)[:, None]).amax(2)
        return features_NF.unflatten(0, ids_BTC.shape[:2])

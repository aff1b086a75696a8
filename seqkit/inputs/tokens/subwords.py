"""Subword tokenizers, trained by the library ``tokenizers``: byte-pair encoding and unigrams."""

# T time (tokens), V vocabulary

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from seqkit.errors import ConfigError
from seqkit.inputs.tokens.tokenizers import byte_sizes
from seqkit.registry import register_tokenizer

SIZE = 4096  # tokens, unless told otherwise
SMALLEST = 300  # 256 of them are the bytes
AT_ONCE = 1000  # pieces that the library is given

PIECE = re.compile(r" ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")
"""What no token goes beyond: a word, a number or punctuation, each with the space before it, or white space."""

_PLAIN = [*range(33, 127), *range(161, 173), *range(174, 256)]
_OTHERS = [byte for byte in range(256) if byte not in _PLAIN]
SYMBOLS = dict(zip([*_PLAIN, *_OTHERS], map(chr, [*_PLAIN, *range(256, 256 + len(_OTHERS))]), strict=True))
"""The printable character by which the library writes each byte (Radford et al. 2019)."""
BYTES = {symbol: byte for byte, symbol in SYMBOLS.items()}


class Subwords:
    """What both tokenizers share: tokens are strings of bytes, so that any text has some and none is unknown.

    Attributes:
        tokens: The vocabulary, each byte of it written as the library does; a token's id is its place.
    """

    plural: ClassVar[str] = "subwords"
    tokens: tuple[str, ...]

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The tokens as text; a byte that is no whole character is written as \\xe2."""
        return tuple(token.decode(errors="backslashreplace") for token in self._bytes)

    @staticmethod
    def pieces(text: str) -> list[str]:
        """Return the pieces of a text, which joined are the text."""
        return PIECE.findall(text)

    def ids(self, pieces: list[str]) -> np.ndarray:
        """Return the ids of pieces, one after the other; each different piece is looked at once."""
        different = list(dict.fromkeys(pieces))
        numbered = self._library.encode_batch(different, add_special_tokens=False)
        ids_by_piece = {piece: found.ids for piece, found in zip(different, numbered, strict=True)}
        return np.fromiter(chain.from_iterable(map(ids_by_piece.__getitem__, pieces)), dtype=np.int64)

    def encode(self, text: str) -> Tensor:
        return torch.from_numpy(self.ids(self.pieces(text)))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens; what is no UTF-8 among them is the replacement character."""
        return b"".join(self._bytes[place] for place in ids).decode(errors="replace")

    def continued(self, prompt: str, ids: Sequence[int]) -> str:
        return prompt + self.decode(ids)

    def sizes(self) -> Tensor:
        """Return sizes_V2; a character counts at its first byte."""
        return torch.tensor([byte_sizes(token) for token in self._bytes], device="cpu")

    @cached_property
    def _bytes(self) -> tuple[bytes, ...]:
        return tuple(bytes(BYTES[symbol] for symbol in token) for token in self.tokens)

    @cached_property
    def _library(self) -> Any:
        return _of_bytes(self._model())

    def _model(self) -> Any:
        """Return the library's model of the tokens."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker process is sent: the fields, and nothing of the library."""
        return {name: value for name, value in vars(self).items() if name not in ("_library", "_bytes", "vocabulary")}


@register_tokenizer("bpe")
@dataclass(frozen=True)
class BytePairs(Subwords):
    """Subwords by byte-pair encoding (Sennrich et al. 2016) over bytes; needs `pip install seqkit[subword]`.

    Attributes:
        tokens: The bytes, then what each merge makes.
        merges: Pairs of tokens by id, in the order in which they are joined.
    """

    tokens: tuple[str, ...]
    merges: tuple[tuple[int, int], ...]

    @classmethod
    def fit(cls, pieces: list[str], size: int | None) -> Self:
        """Return the tokenizer of ``size`` tokens (4,096 if None), fewer where nothing is left to join."""
        trained = _train("BPE", "bpe", pieces, size)
        tokens = tuple(sorted(trained["vocab"], key=trained["vocab"].__getitem__))
        ids = trained["vocab"]
        return cls(tokens, tuple((ids[left], ids[right]) for left, right in trained["merges"]))

    def _model(self) -> Any:
        ids = {token: place for place, token in enumerate(self.tokens)}
        return library("bpe").models.BPE(ids, [(self.tokens[left], self.tokens[right]) for left, right in self.merges])


@register_tokenizer("unigram")
@dataclass(frozen=True)
class Unigrams(Subwords):
    """Subwords of the likeliest segmentation (Kudo 2018) over bytes; needs `pip install seqkit[subword]`.

    Attributes:
        tokens: By falling probability.
        scores: Log probability of each.
    """

    tokens: tuple[str, ...]
    scores: tuple[float, ...]

    @classmethod
    def fit(cls, pieces: list[str], size: int | None) -> Self:
        """Return the tokenizer of ``size`` tokens (4,096 if None)."""
        found = _train("Unigram", "unigram", pieces, size)["vocab"]
        # The library sums in any order, and gives bytes that it would not keep some score just above the least: the
        # same text gives the same tokenizer where both are levelled.
        least = min(score for _, score in found)
        levelled = [(round(least if len(t) == 1 and score < least + 0.1 else score, 3), t) for t, score in found]
        scores, tokens = zip(*sorted(levelled, key=lambda pair: (-pair[0], pair[1])), strict=True)
        return cls(tokens, scores)

    def _model(self) -> Any:
        return library("unigram").models.Unigram(list(zip(self.tokens, self.scores, strict=True)))


def library(name: str) -> Any:
    """Return the library ``tokenizers``.

    Args:
        name: Of the tokenizer that needs it, for the message.

    Raises:
        ConfigError: It is not installed.
    """
    if find_spec("tokenizers") is None:
        raise ConfigError(f"data.tokenizer={name} needs the library tokenizers; pip install 'seqkit[subword]'")
    # In one thread: several warn at every fork of a worker process, and are no quicker at what is done here.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import tokenizers
    import tokenizers.models
    import tokenizers.pre_tokenizers
    import tokenizers.trainers

    return tokenizers


def _train(kind: str, name: str, pieces: list[str], size: int | None) -> Any:
    """Return a model of the library, as plain data, that is trained on pieces."""
    size = SIZE if size is None else size
    if size < SMALLEST:
        raise ConfigError(
            f"data.vocab_size={size}: data.tokenizer={name} needs {SMALLEST} tokens or more, of which 256 are the bytes"
        )
    if not pieces:
        raise ConfigError(f"data.tokenizer={name}: the training part has no word to train the tokenizer on; give more")
    tokenizers = library(name)
    trainer = {"BPE": tokenizers.trainers.BpeTrainer, "Unigram": tokenizers.trainers.UnigramTrainer}[kind]
    whole = _of_bytes(getattr(tokenizers.models, kind)())
    batches = (pieces[start : start + AT_ONCE] for start in range(0, len(pieces), AT_ONCE))
    whole.train_from_iterator(batches, trainer(vocab_size=size, initial_alphabet=sorted(BYTES), show_progress=False))
    return json.loads(whole.to_str())["model"]


def _of_bytes(model: Any) -> Any:
    """Return the library's tokenizer of a model, which takes pieces as strings of bytes."""
    tokenizers = library("")
    whole = tokenizers.Tokenizer(model)
    whole.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return whole

"""Tokenizers: from text to token ids and back."""

# T time (tokens), V vocabulary

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from seqkit.errors import ConfigError
from seqkit.registry import register_tokenizer

UNKNOWN = "<unk>"  # has id 0 in every vocabulary
LINE_END = "<eos>"  # of words
MARKS_APART = re.compile(r"\w+(?:[-'\u2019.,]\w+)*|[^\w\s]")  # don't and 3.14 are a word each


class Tokenizer(Protocol):
    """Text as token ids and back: a frozen dataclass, registered with ``@register_tokenizer``.

    A token's id is its place in ``vocabulary``; where that has ``<unk>``, it is the first.

    It is trained in three steps that a corpus needs: ``pieces`` cuts a text, ``fit`` chooses the vocabulary by the
    pieces of the training split, ``ids`` numbers pieces.
    """

    plural: ClassVar[str]
    """The pieces in words, for the report: "characters"."""
    vocabulary: tuple[str, ...]

    @staticmethod
    def pieces(text: str) -> Any: ...

    @classmethod
    def fit(cls, pieces: Any, size: int | None) -> Self: ...

    def ids(self, pieces: Any) -> np.ndarray: ...

    def encode(self, text: str) -> Tensor:
        """Return the ids (T,) of a text that a person typed.

        Raises:
            ConfigError: Something in it has no token.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        ...

    def continued(self, prompt: str, ids: Sequence[int]) -> str:
        """Return a prompt and, after it, the text of token ids."""
        ...

    def sizes(self) -> Tensor:
        """Return sizes_V2, the characters and the UTF-8 bytes of text that each token stands for."""
        ...


class Vocabulary:
    """Ids of the symbols of ``vocabulary``."""

    vocabulary: tuple[str, ...]

    @cached_property
    def _id_by_symbol(self) -> dict[str, int]:
        return {symbol: place for place, symbol in enumerate(self.vocabulary)}


@register_tokenizer("char")
@dataclass(frozen=True)
class Characters(Vocabulary):
    """One token per character.

    Attributes:
        vocabulary: The characters; a token's id is its place among them.
    """

    plural: ClassVar[str] = "characters"
    by_frequency: ClassVar[bool] = True
    vocabulary: tuple[str, ...]

    @staticmethod
    def pieces(text: str) -> np.ndarray:
        """Return the code point of each character."""
        return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)

    @classmethod
    def fit(cls, pieces: np.ndarray, size: int | None) -> Self:
        """Return the tokenizer of the ``size`` most frequent characters, ``<unk>`` among them; None keeps all."""
        counts_by_code = np.bincount(pieces, minlength=1)
        frequent = np.argsort(-counts_by_code, kind="stable")[: np.count_nonzero(counts_by_code)]
        return cls((UNKNOWN, *map(chr, frequent[: None if size is None else size - 1])))

    def ids(self, pieces: np.ndarray) -> np.ndarray:
        """Return the id of each code point."""
        codes = [ord(symbol) for symbol in self.vocabulary[1:]]
        id_by_code = np.zeros(max([*codes, int(pieces.max(initial=0))]) + 1, dtype=np.int64)
        id_by_code[codes] = np.arange(1, len(codes) + 1)
        return id_by_code[pieces]

    def encode(self, text: str) -> Tensor:
        strange = [repr(char) for char in dict.fromkeys(text) if char not in self._id_by_symbol]
        if strange:
            more = f" and {len(strange) - 5} more" if len(strange) > 5 else ""
            raise ConfigError(
                f"unknown to the model: {', '.join(strange[:5])}{more}; its training text had none, leave that out"
            )
        return torch.tensor([self._id_by_symbol[char] for char in text], dtype=torch.long)

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.vocabulary[place] for place in ids)

    def continued(self, prompt: str, ids: Sequence[int]) -> str:
        return prompt + self.decode(ids)

    def sizes(self) -> Tensor:
        """Return sizes_V2; ``<unk>`` counts as one character of one byte."""
        rows = [(1, 1), *((1, len(symbol.encode())) for symbol in self.vocabulary[1:])]
        return torch.tensor(rows, device="cpu")


@register_tokenizer("byte")
@dataclass(frozen=True)
class Bytes:
    """One token per byte of the text in UTF-8: 256 of them, and none is unknown."""

    plural: ClassVar[str] = "bytes"

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The ASCII characters, and the other bytes as \\x80 to \\xff."""
        return tuple(bytes([value]).decode(errors="backslashreplace") for value in range(256))

    @staticmethod
    def pieces(text: str) -> np.ndarray:
        """Return the bytes of a text."""
        return np.frombuffer(text.encode(), dtype=np.uint8)

    @classmethod
    def fit(cls, pieces: np.ndarray, size: int | None) -> Self:
        """Return the tokenizer; raises ``ConfigError`` if it is to have another size."""
        if size not in (None, 256):
            raise ConfigError(f"data.vocab_size={size}: data.tokenizer=byte has 256 tokens; leave it out")
        return cls()

    def ids(self, pieces: np.ndarray) -> np.ndarray:
        return pieces.astype(np.int64)

    def encode(self, text: str) -> Tensor:
        return torch.from_numpy(self.ids(self.pieces(text)))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of bytes; what is no UTF-8 among them is the replacement character."""
        return bytes(ids).decode(errors="replace")

    def continued(self, prompt: str, ids: Sequence[int]) -> str:
        return prompt + self.decode(ids)

    def sizes(self) -> Tensor:
        """Return sizes_V2; a character counts at its first byte."""
        return torch.tensor([byte_sizes(bytes([value])) for value in range(256)], device="cpu")


def byte_sizes(token: bytes) -> tuple[int, int]:
    """Return the number of characters that start in some bytes of UTF-8, and of bytes."""
    return sum(byte & 0xC0 != 0x80 for byte in token), len(token)


@register_tokenizer("word")
@dataclass(frozen=True)
class Words(Vocabulary):
    """One token per word between white space, and ``<eos>`` at each line end (as in WikiText, Merity et al. 2016).

    Attributes:
        vocabulary: The words; a token's id is its place among them.
    """

    plural: ClassVar[str] = "words"
    by_frequency: ClassVar[bool] = True
    vocabulary: tuple[str, ...]

    @staticmethod
    def pieces(text: str) -> list[str]:
        """Return the words and line ends; the last line ends too."""
        closed = text if text.endswith("\n") or not text else text + "\n"
        return closed.replace("\n", f" {LINE_END} ").split()

    @classmethod
    def fit(cls, pieces: list[str], size: int | None) -> Self:
        """Return the tokenizer of the ``size`` most frequent words, ``<unk>`` among them; None keeps all."""
        counts = Counter(pieces)
        counts.pop(UNKNOWN, None)  # has its place already
        return cls((UNKNOWN, *(word for word, _ in counts.most_common(None if size is None else size - 1))))

    def ids(self, pieces: list[str]) -> np.ndarray:
        """Return the id of each word."""
        return np.fromiter((self._id_by_symbol.get(word, 0) for word in pieces), dtype=np.int64, count=len(pieces))

    @staticmethod
    def split(text: str) -> list[str]:
        """Return the words and line ends of a text; an unfinished line stays so."""
        return text.replace("\n", f" {LINE_END} ").split()

    def encode(self, text: str) -> Tensor:
        """Return the ids (T,) of a text; a word outside the vocabulary is ``<unk>``, an unfinished line stays so."""
        return torch.from_numpy(self.ids(self.split(text)))

    def decode(self, ids: Sequence[int]) -> str:
        words = ["\n" if self.vocabulary[place] == LINE_END else self.vocabulary[place] for place in ids]
        return " ".join(words).replace(" \n", "\n").replace("\n ", "\n")

    def continued(self, prompt: str, ids: Sequence[int]) -> str:
        added = self.decode(ids)
        apart = prompt and added and not prompt[-1].isspace() and not added[0].isspace()
        return f"{prompt} {added}" if apart else prompt + added

    def sizes(self) -> Tensor:
        """Return sizes_V2; a word counts with the space or line end after it, so ``<eos>`` (and an empty line) as 0."""
        rows = [(0, 0) if word == LINE_END else (len(word) + 1, len(word.encode()) + 1) for word in self.vocabulary]
        return torch.tensor(rows, device="cpu")


@register_tokenizer("lower_word")
@dataclass(frozen=True)
class LowerWords(Vocabulary):
    """One token per word in lower case and per punctuation mark; white space and line ends are left out.

    For sentences as people write them. It forgets their case and spacing, so use another for a language model.

    Attributes:
        vocabulary: The words and marks; a token's id is its place among them.
    """

    plural: ClassVar[str] = "words and marks"
    by_frequency: ClassVar[bool] = True
    vocabulary: tuple[str, ...]

    @staticmethod
    def split(text: str) -> list[str]:
        """Return the words and marks as they stand in the text."""
        return MARKS_APART.findall(text)

    pieces = split

    @classmethod
    def fit(cls, pieces: list[str], size: int | None) -> Self:
        """Return the tokenizer of the ``size`` most frequent words, ``<unk>`` among them; None keeps all."""
        counts = Counter(map(str.lower, pieces))
        return cls((UNKNOWN, *(word for word, _ in counts.most_common(None if size is None else size - 1))))

    def ids(self, pieces: list[str]) -> np.ndarray:
        """Return the id of each word in any case; that of ``<unk>`` for one outside the vocabulary."""
        known = self._id_by_symbol
        return np.fromiter((known.get(word.lower(), 0) for word in pieces), dtype=np.int64, count=len(pieces))

    def encode(self, text: str) -> Tensor:
        return torch.from_numpy(self.ids(self.split(text)))

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.vocabulary[place] for place in ids)

    def continued(self, prompt: str, ids: Sequence[int]) -> str:
        return f"{prompt} {self.decode(ids)}".strip()

    def sizes(self) -> Tensor:
        """Return sizes_V2; a word or mark counts with a space after it."""
        return torch.tensor([(len(word) + 1, len(word.encode()) + 1) for word in self.vocabulary], device="cpu")

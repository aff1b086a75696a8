"""Words with the characters that spell them, so that a word that was never seen can still be read."""

# B batch, T time (words), C characters of a word, S = 1 + C

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from logging import getLogger
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from seqkit.errors import ConfigError, DataError
from seqkit.inputs.chunks import as_chunk
from seqkit.inputs.tokens.reading import path_of, text_of
from seqkit.inputs.tokens.tokenizers import Tokenizer
from seqkit.inputs.words.conll import DOCUMENT, NAMED, Column, cell, cells_of, lines_of, read_conll
from seqkit.registry import find, register_inputs

LOG = getLogger("seqkit")
LENGTH = 20  # characters that are read of a word; of EWT's training words 1 in 1,000 is longer
STRANGE = 1  # id of a character that the training part had not; 0 is padding


@register_inputs("words")
@dataclass(frozen=True)
class SpelledWords:
    """Words as ids, each with the ids of its characters.

    A row of the inputs is the id of a word, then those of its ``length`` first characters; of a longer word the first
    and the last ones, as endings tell much. Id 0 of a character is padding, 1 one that the training part had not.

    Attributes:
        tokenizer: That cuts a text into words and numbers them, with its vocabulary.
        characters: The known ones; a character's id is its place among them and 2.
        max_tokens: Words of a sequence that are read, from its start; None is all.
        length: Characters per word.
    """

    frontend: ClassVar[str] = "words"
    endings: ClassVar[tuple[str, ...]] = (".txt",)
    cells: ClassVar[str] = "texts"
    meaning: ClassVar[str] = (
        "words: places in spec.inputs.tokenizer.vocabulary, then those of their characters in spec.inputs.characters "
        "plus 2 (0 padding, 1 unknown)"
    )
    example_steps: ClassVar[int] = 20
    tokenizer: Tokenizer
    characters: tuple[str, ...]
    max_tokens: int | None = None
    length: int = LENGTH

    @classmethod
    def fit(cls, tokenizer: str, words: list[str], size: int | None, max_tokens: int | None = None) -> Self:
        """Return the kind with the vocabulary and the characters of the training part's words.

        Args:
            tokenizer: Name of one that makes words.
            words: Of the training part, as they stand there.
            size: Words to keep, ``<unk>`` among them; None is all.
            max_tokens: Words of a sequence to read; None is all.

        Raises:
            ConfigError: The tokenizer makes something else.
        """
        kind: Any = word_tokenizer(tokenizer)
        counts = Counter(character for word in words for character in word)
        return cls(kind.fit(words, size), tuple(sorted(counts)), max_tokens)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.tokenizer.vocabulary

    def rows(self, words: Sequence[str]) -> np.ndarray:
        """Return inputs_TS of words."""
        inputs_TS = np.zeros((len(words), 1 + self.length), dtype=np.int64)
        inputs_TS[:, 0] = self.tokenizer.ids(list(words))
        for row, word in enumerate(words):
            spelled = word if len(word) <= self.length else word[: -(-self.length // 2)] + word[-(self.length // 2) :]
            inputs_TS[row, 1 : 1 + len(spelled)] = [self._id_by_character.get(char, STRANGE) for char in spelled]
        return inputs_TS

    def read(self, source: Any, lookback: int | None = None) -> Tensor:
        """Return inputs_TS of a text, of the content of a UTF-8 file, or of a tuple of words."""
        name, text = ("", "") if isinstance(source, tuple) else text_of(source)
        words = [*map(str, source)] if isinstance(source, tuple) else self.split(text)
        if not words:
            raise DataError(f"{name}: no text to predict from")
        words = words[: self.max_tokens]
        return torch.from_numpy(self.rows(words[-lookback:] if lookback else words))

    def read_cell(self, cell: str, folder: Path) -> Tensor:
        """Return inputs_TS of the text in a cell of a table."""
        return torch.from_numpy(self.rows(self.split(cell)[: self.max_tokens]))

    def words(self, inputs_TS: Tensor) -> list[str]:
        """Return the words as their characters spell them.

        A character that the training part had not is U+FFFD, and "..." stands where some were left out.
        """
        known, half = ("", "\ufffd", *self.characters), -(-self.length // 2)
        spelled = [[known[place] for place in row] for row in inputs_TS[:, 1:].tolist()]
        return [
            "".join(word) if not word[-1] else "".join(word[:half]) + "..." + "".join(word[half:]) for word in spelled
        ]

    def chunk(self, chunk: Any) -> Tensor:
        if isinstance(chunk, str):
            return torch.from_numpy(self.rows(self.split(chunk)))
        due = f"text, or ids (words, {1 + self.length}) of words and their characters"
        values = as_chunk(chunk, (1 + self.length,), due)
        if not values.numel():
            return torch.empty(0, 1 + self.length, dtype=torch.int64)
        limits = torch.tensor([len(self.vocabulary)] + [len(self.characters) + 2] * self.length)
        strange = values.is_floating_point() or values.is_complex() or values.dtype == torch.bool
        if strange or bool((values < 0).any()) or bool((values >= limits).any()):
            raise DataError(f"a chunk must be {due}; this one holds others")
        return values.long()

    def example(self, rows: int, steps: int, draw: torch.Generator) -> Tensor:
        words_BT1 = torch.randint(len(self.vocabulary), (rows, steps, 1), generator=draw)
        shape = (rows, steps, self.length)
        spelled_BTC = torch.randint(1, len(self.characters) + 2, shape, generator=draw)
        sizes_BT1 = torch.randint(1, self.length + 1, (rows, steps, 1), generator=draw)
        return torch.cat((words_BT1, spelled_BTC * (torch.arange(self.length) < sizes_BT1)), 2)

    def split(self, text: str) -> list[str]:
        """Return the words of a text, as they stand there."""
        kind: Any = self.tokenizer
        return kind.split(text)

    @cached_property
    def _id_by_character(self) -> dict[str, int]:
        return {character: 2 + place for place, character in enumerate(self.characters)}


@register_inputs("sentences")
@dataclass(frozen=True)
class Sentences(SpelledWords):
    """Sentences of spelled words, of which a file holds many.

    Attributes:
        tokenizer: As of ``SpelledWords``.
        characters: Likewise.
        max_tokens: Likewise.
        length: Likewise.
        column: Of the words in files of CoNLL columns; see ``conll.cell``.
        width: Cells of a line of the training part's files; 0 where they differ.
        encoding: Of these files.
    """

    endings: ClassVar[tuple[str, ...]] = (".txt", ".tsv", ".conll", *NAMED)
    column: Column | None = field(default=None, compare=False)
    width: int = field(default=0, compare=False)
    encoding: str = field(default="utf-8", compare=False)

    def sentences(self, source: Any) -> list[tuple[str, tuple[str, ...]]]:
        """Return the sentences of a text or a file, each with a name and its words as they stand there.

        A text is one; a file's name for one is its line. Files have CoNLL columns, but a ``.txt`` that does not look
        like it has a sentence in each line. They are UTF-8, or as those trained on.

        Raises:
            DataError: The file cannot be read, or there are no words.
        """
        if isinstance(source, tuple) or (path := path_of(source, self.endings)) is None:
            words = tuple(map(str, source)) if isinstance(source, tuple) else tuple(self.split(str(source)))
            if not words:
                raise DataError(f"{source!r}: no text to predict from")
            return [(str(source), words)]
        try:
            lines = lines_of(path, "utf-8")
        except DataError:
            lines = lines_of(path, self.encoding)
        if path.suffix.lower() != ".txt" or self._has_columns(path, lines):
            found = [
                (sentence[0].number, tuple(cell(line, "word_column", self.column) for line in sentence))
                for sentence in read_conll(path, lines)
            ]
        else:
            cut = [(number, tuple(self.split(line))) for number, line in enumerate(lines, 1)]
            found = [(number, words) for number, words in cut if words]
        if not found:
            raise DataError(f"{path}: no text to predict from")
        return [(f"{path}:{number}" if len(found) > 1 else str(path), words) for number, words in found]

    def sentence(self, source: Any) -> tuple[str, ...]:
        """Return the words of a source that holds one sentence; raises as ``sentences``, and where there are more."""
        (_, words), *others = self.sentences(source)
        if others:
            raise DataError(
                f"{source}: holds {1 + len(others):,} sentences; `seqkit predict`, or predict_each of their sources, "
                "predicts for each"
            )
        return words

    def read(self, source: Any, lookback: int | None = None) -> Tensor:
        """Return inputs_TS of a sentence: a text, a file that holds one, or a tuple of words."""
        return super().read(self.sentence(source), lookback)

    def _has_columns(self, path: Path, lines: list[str]) -> bool:
        """Whether a text file looks like CoNLL columns; where it might be either, what it is read as is said."""
        filled = [line for line in lines if line.strip() and not line.startswith((DOCUMENT, "#"))]
        widths = {len(cells_of(line)) for line in filled}
        if len(widths) != 1 or not 1 <= max(widths) <= self.width:
            return False
        several = any(bool(one.strip()) and bool(next_one.strip()) for one, next_one in pairwise(lines))
        columns = all("\t" in line for line in filled) or (several and any(not line.strip() for line in lines[:-1]))
        how = "columns, a word a line" if columns else "text, a sentence a line; with columns call it .conll"
        LOG.warning("%s: read as %s", path, how)
        return columns


def word_tokenizer(name: str) -> Any:
    """Return the class of a tokenizer that makes words; raises ``ConfigError`` where it makes something else."""
    kind = find("tokenizer", name).factory
    if not hasattr(kind, "split"):
        raise ConfigError(
            f"data.tokenizer={name}: its tokens are no words, whose characters could be read. Expected {WORDS}"
        )
    return kind


WORDS = "data.tokenizer=lower_word or data.tokenizer=word"

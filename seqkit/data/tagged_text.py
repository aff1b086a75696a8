"""The user's own tagged words: CoNLL columns, a word per line and an empty line after each sentence."""

# B batch, T time (words)

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from seqkit.contracts.batch import EVALUATED, SPLITS, Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data import ordering
from seqkit.data.labelled_text import Sequences
from seqkit.data.parts import Fraction, check_fractions, draw_parts, named_places
from seqkit.data.text import VocabularySize
from seqkit.errors import DataError, nearest, shortened
from seqkit.files import sha256_of
from seqkit.inputs.tokens.reading import check_encoding
from seqkit.inputs.words.conll import EXPECTED, Column, cell, lines_of, read_conll
from seqkit.inputs.words.spec import Sentences, word_tokenizer
from seqkit.padding import pad
from seqkit.registry import register_data
from seqkit.rng import generator
from seqkit.tasks.tag.spans import OUTSIDE, SPAN, are_spans
from seqkit.tasks.tag.spec import Tags

LOG = getLogger("seqkit")


@dataclass(frozen=True)
class Sentence:
    """Words with their tags, the part (None: to be drawn), the file, the words' lines and the cells of the first."""

    words: list[str]
    tags: list[str]
    split: Split | None
    path: Path
    lines: list[int]
    cells: int


@dataclass(frozen=True)
class Columns:
    """Where a file has its words and tags.

    Attributes:
        word: Column of the words; None is FORM in CoNLL-U, else the first.
        tag: Column of the tags; None is UPOS in CoNLL-U, else the last.
    """

    word: Column | None
    tag: Column | None


@register_data("tagged_text")
class TaggedText:
    """Your own tagged words: CoNLL columns, a word per line, an empty line after each sentence; also CoNLL-U.

    Give ``path``, or ``train`` and what there is of ``valid`` and ``test``; parts that are not given are drawn by
    ``seed`` from the training part's sentences. Columns are separated by tabs or, where a line has none, by spaces. Of
    ``.conllu`` files the ranges (``3-4``) and empty nodes (``5.1``) are left out; of CoNLL-2003 the lines
    ``-DOCSTART-``. Vocabulary and tags are those of the training part.

    Args:
        path: A file.
        train: File to train on, instead of ``path``.
        valid: File to validate on.
        test: File to test on.
        word_column: Column of the words, by its number from 1 or in CoNLL-U by its name; FORM, or the first.
        tag_column: Column of the tags, by its number from 1 (-1 is the last) or in CoNLL-U by its name; UPOS, or the
            last.
        encoding: Of the files: utf-8, latin-1, cp1252, ...
        tokenizer: What words are one in the vocabulary, and how ``predict`` cuts a text into words: lower_word (in any
            case, and punctuation marks apart) or word (between white space).
        vocab_size: Most frequent words to keep, ``<unk>`` among them; all by default.
        valid_fraction: Part drawn for validation, where none is given.
        test_fraction: Part drawn for the test, where none is given.
        seed: Of these draws.
        batch_size: Sentences per batch.

    Raises:
        ConfigError: Both or neither of ``path`` and ``train``, or fractions that leave no training part.
        DataError: A file, line or value that cannot be used.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        train: str | None = None,
        valid: str | None = None,
        test: str | None = None,
        word_column: int | str | None = None,
        tag_column: int | str | None = None,
        encoding: str = "utf-8",
        tokenizer: str = "lower_word",
        vocab_size: VocabularySize | None = None,
        valid_fraction: Fraction = 0.1,
        test_fraction: Fraction = 0.1,
        seed: NonNegativeInt = 0,
        batch_size: PositiveInt = 32,
    ) -> None:
        self._places = named_places("tagged_text", path, train, valid, test, EXPECTED)
        for split, place in self._places:
            if place.is_dir():
                raise DataError(f"{place}: is a folder{f', data.{split}' if split else ''}. Expected {EXPECTED}")
        self.fractions = check_fractions(valid_fraction, test_fraction)
        check_encoding(encoding)
        word_tokenizer(tokenizer)
        self.columns = Columns(word_column, tag_column)
        self.encoding = encoding
        self.tokenizer = tokenizer
        self.vocab_size = vocab_size
        self.seed = seed
        self.batch_size = batch_size

    def setup(self) -> None:
        """Read the sentences and number their words, characters and tags."""
        found = [
            replace(sentence, split=split)
            for split, place in self._places
            for sentence in read_sentences(place, self.columns, self.encoding)
        ]
        sentences, drawn = self._split(found)
        parts = {split: [sentence for sentence in sentences if sentence.split == split] for split in SPLITS}
        task = tags(parts)
        words = [word for sentence in parts["train"] for word in sentence.words]
        cells = {sentence.cells for sentence in parts["train"]}
        inputs: Any = replace(
            Sentences.fit(self.tokenizer, words, self.vocab_size),
            column=self.columns.word,
            width=cells.pop() if len(cells) == 1 else 0,
            encoding=self.encoding,
        )
        self.spec = DataSpec(inputs, task)
        place = {name: number for number, name in enumerate(task.names)}
        self._parts, self.facts = {}, {"origin": ", ".join(str(path) for _, path in self._places)}
        for split, own in parts.items():
            rows = [torch.from_numpy(inputs.rows(sentence.words)) for sentence in own]
            self._parts[split] = Sequences(rows, [[place[tag] for tag in sentence.tags] for sentence in own])
            strange = sum(int((row[:, 0] == 0).sum()) for row in rows)
            self.facts[split] = f"{len(own):,} sentences, {self._parts[split].steps:,} words"
            self.facts[split] += f", {strange:,} of them not in the vocabulary" if strange else ""
        digest = sha256(sha256_of([path for _, path in self._places]).encode())
        for sentence in sentences:
            digest.update(repr((sentence.words, sentence.tags, sentence.split)).encode())
        self.fingerprint = digest.hexdigest()
        self.facts |= {
            "split": drawn,
            "tags": f"{len(task.names):,}",
            "vocabulary": f"{len(inputs.vocabulary):,} with <unk>, {len(inputs.characters):,} characters",
        }

    def part(self, split: Split) -> Sequences:
        return self._parts[split]

    def collate(self, samples: Sequence[tuple[Tensor, Tensor]]) -> Batch:
        words, tags = zip(*samples, strict=True)
        inputs_BTS, lengths_B = pad(words)
        return Batch(inputs_BTS, lengths_B, pad(tags)[0])

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Sequence[Sequence[int]]:
        return ordering.by_length(self._parts[split].lengths, split, batch_size, seed, epoch)

    def _split(self, sentences: list[Sentence]) -> tuple[list[Sentence], str]:
        """Return the sentences with a part each, and how they came by it."""
        given = {split for split, _ in self._places}
        fractions = {split: fraction for split, fraction in self.fractions.items() if split not in given}
        if not fractions:
            return sentences, "as given"
        draw = generator("tagged_text", self.seed)
        origin = self._places[0][1]
        groups = [""] * len(sentences)
        given_parts = [sentence.split for sentence in sentences]
        parts = draw_parts(
            given_parts, groups, fractions, draw, origin, "sentences (are there empty lines between them?)"
        )
        drawn = " and ".join(f"{split} {fraction:g}" for split, fraction in fractions.items())
        source = "the training part" if "train" in given else "all sentences"
        how = f"drawn from {source}, data.seed={self.seed}: {drawn}"
        return [replace(sentence, split=part) for sentence, part in zip(sentences, parts, strict=True)], how


def read_sentences(path: Path, columns: Columns, encoding: str) -> Iterator[Sentence]:
    """Yield the sentences of a file of CoNLL columns.

    Raises:
        DataError: A line has not the columns, or no word or tag, or the file is no text or has no sentence.
    """
    for lines in read_conll(path, lines_of(path, encoding)):
        words = [cell(line, "word_column", columns.word) for line in lines]
        tags = [cell(line, "tag_column", columns.tag) for line in lines]
        yield Sentence(words, tags, None, path, [line.number for line in lines], len(lines[0].cells))


def tags(parts: dict[Split, list[Sentence]]) -> Tags:
    """Return the task: the tags of the training part.

    Raises:
        DataError: Another part has a tag that it has not, or there are fewer than two.
    """
    counts = Counter(tag for sentence in parts["train"] for tag in sentence.tags)
    for split in EVALUATED:
        for sentence in parts[split]:
            for tag, line in zip(sentence.tags, sentence.lines, strict=True):
                if tag not in counts:
                    raise DataError(
                        f"{sentence.path}, line {line}: tag '{shortened(tag)}' of the {split} part is on no training "
                        f"word. {nearest(tag, counts)}Move the sentence to the training part, or leave it out"
                    )
    first = parts["train"][0]
    if len(counts) < 2:
        raise DataError(f"{first.path}: all words have the tag '{shortened(first.tags[0])}'; at least two are needed")
    if len(counts) > 1000:
        raise DataError(
            f"{first.path}: {len(counts):,} different tags, such as '{shortened(first.tags[0])}'; is data.tag_column "
            "the right column?"
        )
    if (like := [tag for tag in counts if SPAN.fullmatch(tag)]) and not are_spans([*counts]):
        odd = next(tag for tag in counts if tag != OUTSIDE and tag not in like)
        sentence = next(sentence for sentence in parts["train"] if odd in sentence.tags)
        LOG.warning(
            "%s, line %d: tag '%s' is neither %s nor of a span, as '%s' is; so no span is scored, but tags alone",
            *(sentence.path, sentence.lines[sentence.tags.index(odd)], shortened(odd), OUTSIDE, shortened(like[0])),
        )
    return Tags(tuple(sorted(counts)))

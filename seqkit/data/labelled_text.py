"""The user's own labelled texts: a table with text and label columns, or a folder of text files per class."""

# B batch, T time (tokens)

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import EVALUATED, SPLITS, Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data import ordering
from seqkit.data.parts import Fraction, check_fractions, class_folders, classes, draw_parts, named_part, named_places
from seqkit.data.text import VocabularySize
from seqkit.errors import ConfigError, DataError, shortened
from seqkit.inputs.delimited import FILE, Separator, codec, no_text_reason, read_text_table
from seqkit.inputs.tokens.reading import check_encoding
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import UNKNOWN
from seqkit.inputs.words.spec import SpelledWords
from seqkit.padding import pad
from seqkit.registry import find, register_data
from seqkit.rng import generator

LOG = getLogger("seqkit")
EXPECTED = f"{FILE} with a column of texts and one of labels, or a folder with one sub-folder of *.txt files a class"


@dataclass(frozen=True)
class Labelled:
    """A text with its label, its part (None: to be drawn) and where it stands, in words."""

    text: str
    label: str
    split: Split | None
    where: str


@register_data("labelled_text")
class LabelledText:
    """Your own labelled texts: a CSV, TSV, JSONL, Parquet or Excel file, or a folder of text files per class.

    Give ``path``, or ``train`` and what there is of ``valid`` and ``test``. Parts that neither files nor the column
    ``split`` give are drawn by ``seed`` from the training part, with classes in even proportion. Vocabulary and classes
    are those of the training part.

    Args:
        path: A table, or a folder with one sub-folder of ``*.txt`` files for each class.
        train: Table or folder to train on, instead of ``path``.
        valid: Table or folder to validate on.
        test: Table or folder to test on.
        text_column: Column of the texts.
        label_column: Column of the labels.
        split_column: Column that says train, valid or test; if not given, ``split`` where a table has it.
        separator: What separates the cells of a table; found by its first lines if not given.
        encoding: Of the files: utf-8, latin-1, cp1252, ...
        tokenizer: lower_word (words in any case, and punctuation marks), word, char, byte, or another that is
            registered (``seqkit list``).
        vocab_size: Most frequent tokens to keep, ``<unk>`` among them; all by default.
        characters: Read the characters of each word too, so that one that was never seen can be read.
        max_tokens: Tokens of a text that are read, from its start; all by default.
        valid_fraction: Part drawn for validation, where none is given.
        test_fraction: Part drawn for the test, where none is given.
        seed: Of these draws.
        batch_size: Texts per batch.

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
        text_column: str = "text",
        label_column: str = "label",
        split_column: str | None = None,
        separator: Separator | None = None,
        encoding: str = "utf-8",
        tokenizer: str = "lower_word",
        vocab_size: VocabularySize | None = None,
        characters: bool = False,
        max_tokens: PositiveInt | None = None,
        valid_fraction: Fraction = 0.1,
        test_fraction: Fraction = 0.1,
        seed: NonNegativeInt = 0,
        batch_size: PositiveInt = 32,
    ) -> None:
        self._places = named_places("labelled_text", path, train, valid, test, EXPECTED)
        self.fractions = check_fractions(valid_fraction, test_fraction)
        check_encoding(encoding)
        if characters and not hasattr(find("tokenizer", tokenizer).factory, "split"):
            raise ConfigError(
                f"data.characters=true reads the characters of words, and data.tokenizer={tokenizer} makes none; add "
                "data.characters=false frontend=embedding, or take data.tokenizer=lower_word"
            )
        find("tokenizer", tokenizer)  # refused by name if there is none
        self.text_column, self.label_column, self.split_column = text_column, label_column, split_column
        self.separator = separator
        self.encoding = encoding
        self.tokenizer = tokenizer
        self.vocab_size = vocab_size
        self.characters = characters
        self.max_tokens = max_tokens
        self.seed = seed
        self.batch_size = batch_size

    def setup(self) -> None:
        """Read the texts and number their tokens."""
        items = [item for split, place in self._places for item in self._read(place, split)]
        origin = ", ".join(str(place) for _, place in self._places)
        _refuse_a_label_per_text(items, origin)
        items, drawn = self._split(items, origin)
        parts = {split: [item for item in items if item.split == split] for split in SPLITS}
        labels = {split: [(item.label, item.where) for item in own] for split, own in parts.items()}
        task = classes(labels, "text", origin)
        inputs: Any = self._inputs([item.text for item in parts["train"]])
        self.spec = DataSpec(inputs, task)
        self._parts, cut, strange = {}, 0, {}
        for split, own in parts.items():
            tokens = [self._tokens(item) for item in own]
            cut += sum(len(ids) > self.max_tokens for ids in tokens) if self.max_tokens else 0
            rows = [ids[: self.max_tokens] for ids in tokens]
            self._parts[split] = Sequences(rows, [task.names.index(item.label) for item in own])
            strange[split] = sum(int((word_ids(row) == 0).sum()) for row in rows)
        if self.spec.inputs.vocabulary[0] != UNKNOWN:
            strange = dict.fromkeys(SPLITS, 0)
        digest = sha256()
        for item in items:
            digest.update(repr((item.text, item.label, item.split)).encode())
        self.fingerprint = digest.hexdigest()
        self.facts = {
            "origin": origin,
            **{str(split): _size(len(own), self._parts[split].steps, strange[split]) for split, own in parts.items()},
            "split": drawn,
            "classes": f"{len(task.names):,}",
            "vocabulary": f"{len(inputs.vocabulary):,}" + f" with {UNKNOWN}" * (inputs.vocabulary[0] == UNKNOWN),
        }
        if cut:
            self.facts["cut"] = f"{cut:,} of {len(items):,} texts to data.max_tokens={self.max_tokens}"
        _warn_of_copies(parts, origin)

    def part(self, split: Split) -> "Sequences":
        return self._parts[split]

    def collate(self, samples: Sequence[tuple[Tensor, Tensor]]) -> Batch:
        texts, labels = zip(*samples, strict=True)
        inputs, lengths_B = pad(texts)
        return Batch(inputs, lengths_B, torch.stack(labels))

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Sequence[Sequence[int]]:
        part = self._parts[split]
        if split != "train":
            return ordering.sequential(len(part), batch_size)
        return ordering.bucketed(part.lengths, batch_size, seed, epoch)

    def _inputs(self, texts: Sequence[str]) -> Any:
        """Return the input kind with the vocabulary of the training texts."""
        kind: Any = find("tokenizer", self.tokenizer).factory
        if not hasattr(kind, "split"):
            return Tokens(kind.fit(kind.pieces("\n".join(texts)), self.vocab_size), self.max_tokens)
        words = [word for text in texts for word in kind.split(text)]
        if self.characters:
            return SpelledWords.fit(self.tokenizer, words, self.vocab_size, self.max_tokens)
        return Tokens(kind.fit(words, self.vocab_size), self.max_tokens)

    def _tokens(self, item: Labelled) -> Tensor:
        """Return the ids of a text, of its words and characters or of its tokens."""
        inputs = self.spec.inputs
        if self.characters:
            ids = torch.from_numpy(inputs.rows(inputs.tokenizer.split(item.text)))
        elif hasattr(inputs.tokenizer, "split"):
            ids = inputs.tokenizer.encode(item.text)
        else:
            ids = torch.from_numpy(inputs.tokenizer.ids(inputs.tokenizer.pieces(item.text)))
        if not len(ids):
            raise DataError(f"{item.where}: no token in the text '{shortened(item.text)}'")
        return ids

    def _read(self, place: Path, split: Split | None) -> Iterator[Labelled]:
        if place.is_dir():
            yield from read_folder(place, split, self.encoding)
            return
        table = read_text_table(place, self.separator, self.encoding)
        column = self.split_column or ("split" if split is None and "split" in table.names else None)
        column = None if split is not None and len(self._places) > 1 else column
        table.require(self.text_column, self.label_column, column)
        for where, row in table:
            for name in (self.text_column, self.label_column, column):
                if name is not None and not row[name]:
                    raise DataError(f"{where}: no value for '{name}'")
            if row[self.label_column].startswith("["):
                raise DataError(f"{where}: several labels, {shortened(row[self.label_column])}. Expected one per text")
            part = split if column is None else named_part(row[column], where)
            yield Labelled(row[self.text_column], row[self.label_column], part, where)

    def _split(self, items: list[Labelled], origin: str) -> tuple[list[Labelled], str]:
        """Return the texts with a part each, and how they came by it."""
        given = [split for split in SPLITS if any(item.split == split for item in items)]
        if given and "train" not in given:
            raise DataError(f"{origin}: column '{self.split_column or 'split'}' has no row with 'train'")
        said = f"{' and '.join(given)} as given" if given else ""
        fractions = {split: fraction for split, fraction in self.fractions.items() if split not in given}
        if not fractions:
            return items, "as given"
        parts = draw_parts(
            [item.split for item in items],
            [item.label for item in items],
            fractions,
            generator("labelled_text", self.seed),
            origin,
            "texts",
        )
        drawn = " and ".join(f"{split} {fraction:g}" for split, fraction in fractions.items())
        source = "the training part" if given else "all texts"
        how = f"drawn from {source}, data.seed={self.seed}: {drawn} of each class"
        found = [Labelled(i.text, i.label, part, i.where) for i, part in zip(items, parts, strict=True)]
        return found, f"{said}; {how}" if said else how


class Sequences(Dataset[tuple[Tensor, Tensor]]):
    """Sequences of one part, each with a target.

    Args:
        rows: Ids (T, ...) of each.
        targets: Class of each, or a tag per step.
    """

    def __init__(self, rows: Sequence[Tensor], targets: Sequence[Any]) -> None:
        self.lengths = [len(row) for row in rows]
        self.steps = sum(self.lengths)
        self._rows = torch.cat([row.int() for row in rows])  # one tensor: quick to send to a worker process
        self._ends = torch.tensor(self.lengths).cumsum(0).tolist()
        self._targets = targets

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        end = self._ends[index]
        return self._rows[end - self.lengths[index] : end].long(), torch.as_tensor(self._targets[index])


def word_ids(row: Tensor) -> Tensor:
    """Return the ids of the tokens, or of the words in front of those of their characters."""
    return row[:, 0] if row.dim() > 1 else row


def read_folder(folder: Path, split: Split | None, encoding: str) -> Iterator[Labelled]:
    """Yield the texts of a folder with one sub-folder of ``*.txt`` files per class, hidden ones left out.

    Raises:
        DataError: There is none, a class has none, folders are named as parts, or a file is empty or no text.
    """
    places = class_folders(folder, f"Give the parts as data.train={folder}/train and so on")
    if not places:
        raise DataError(f"{folder}: no sub-folders. Expected {EXPECTED}")
    for place in places:
        files = sorted(file for file in place.rglob("*.txt") if file.is_file() and file.name[0] != ".")
        if not files:
            raise DataError(f"{place}: no *.txt file in it; each sub-folder is a class and needs some")
        for file in files:
            content = file.read_bytes()
            try:
                text = content.decode(codec(encoding)).strip()
            except UnicodeDecodeError as error:
                line = content.count(b"\n", 0, error.start) + 1
                raise DataError(f"{file}, line {line} (byte {error.start}): {no_text_reason(encoding)}") from None
            if not text:
                raise DataError(f"{file}: is empty. Expected a text")
            if "\0" in text:
                raise DataError(f"{file}: holds NUL bytes, so it is no text")
            yield Labelled(text.replace("\r\n", "\n"), place.name, split, str(file))


def _refuse_a_label_per_text(items: list[Labelled], origin: str) -> None:
    """Refuse labels of which most stand on one text only, as numbers or names of the texts do."""
    labels = {item.label for item in items}
    if len(labels) > max(20, len(items) / 2):
        raise DataError(
            f"{origin}: {len(labels):,} different labels on {len(items):,} texts, such as "
            f"'{shortened(items[0].label)}'; is data.label_column the right column?"
        )


def _size(texts: int, tokens: int, strange: int) -> str:
    size = f"{texts:,} texts, {tokens:,} tokens"
    return f"{size}, {strange:,} of them not in the vocabulary" if strange else size


def _warn_of_copies(parts: dict[Split, list[Labelled]], origin: str) -> None:
    """Warn of texts to be scored that are trained on too."""
    trained = {item.text: item.where for item in parts["train"]}
    copies = [item for split in EVALUATED for item in parts[split] if item.text in trained]
    if copies:
        LOG.warning(
            "%s: %d texts to be scored are trained on too, such as %s and %s",
            origin, len(copies), copies[0].where, trained[copies[0].text],
        )  # fmt: skip

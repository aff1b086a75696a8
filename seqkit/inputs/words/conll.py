"""Sentences in CoNLL columns, also CoNLL-U: a word per line with what is known of it, an empty line after each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqkit.errors import ConfigError, DataError, nearest, shortened
from seqkit.inputs.delimited import codec, no_text_reason

EXPECTED = "a text file with a word and its tag per line (CoNLL columns) and an empty line after each sentence"
CONLLU = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
NAMED = (".conllu", ".conllup")
"""Endings of files whose columns have names."""
GLOBAL = "# global.columns ="  # first line of CoNLL-U Plus, which names other columns
DOCUMENT = "-DOCSTART-"  # between the documents of CoNLL-2003: no word
LONGEST = 5000  # words of a sentence; beyond that the empty lines are missing

Column = int | str
"""A column of the file: its number from 1, or from the end as -1, or in CoNLL-U its name."""


@dataclass(frozen=True)
class Line:
    """Of a word.

    Attributes:
        cells: Of its columns.
        names: Of these; none where they have no names.
        path: Of the file.
        number: From 1.
    """

    cells: list[str]
    names: tuple[str, ...]
    path: Path
    number: int

    @property
    def where(self) -> str:
        return f"{self.path}, line {self.number}"


def read_conll(path: Path, lines: Sequence[str]) -> Iterator[list[Line]]:
    """Yield the lines of each sentence of a file, of which all lines are given.

    Of CoNLL-U the ranges (``3-4``) and empty nodes (``5.1``) are left out, of CoNLL-2003 the lines ``-DOCSTART-``.

    Raises:
        DataError: It has no sentence, or one that does not end.
    """
    is_named = path.suffix.lower() in NAMED
    names: tuple[str, ...] = CONLLU if is_named else ()
    sentence: list[Line] = []
    count = 0
    for number, text in enumerate([*lines, ""], 1):
        if is_named and text.startswith("#"):
            names = tuple(text.removeprefix(GLOBAL).split()) if text.startswith(GLOBAL) else names
            continue
        if text and not text.isspace():
            cells = cells_of(text)
            if cells[0].startswith(DOCUMENT) or (is_named and not cells[0].isdigit() and _is_no_word(cells[0])):
                continue
            sentence.append(Line(cells, names, path, number))
            if len(sentence) > LONGEST:
                raise DataError(
                    f"{sentence[-1].where}: a sentence of more than {LONGEST:,} words; are empty lines between "
                    "sentences?"
                )
        elif sentence:
            yield sentence
            sentence, count = [], count + 1
    if not count:
        raise DataError(f"{path}: holds no sentence. Expected {EXPECTED}")


def cells_of(line: str) -> list[str]:
    """Return the cells of a line: between tabs or, where there are none, between spaces."""
    return line.split("\t") if "\t" in line else line.split()


def cell(line: Line, option: str, column: Column | None) -> str:
    """Return the word or the tag of a line.

    Args:
        line: Of a sentence.
        option: That chooses the column: ``word_column`` or ``tag_column``.
        column: Chosen; None is FORM or UPOS in CoNLL-U, else the first or the last.

    Raises:
        ConfigError: There is no such column.
        DataError: The line has it not, or nothing in it.
    """
    cells, names, where = line.cells, line.names, line.where
    is_word = option == "word_column"
    if column is None:
        column = ("FORM" if is_word else "UPOS") if names else (1 if is_word else -1)
        if not (names or is_word) and len(cells) < 2:
            raise DataError(
                f"{where}: one column, '{shortened(cells[0], 30)}'. Expected a word and its tag, separated by a tab or "
                "spaces"
            )
    if isinstance(column, str):
        if not names:
            raise ConfigError(f"data.{option}={column}: only .conllu files name their columns; give a number, from 1")
        if column not in names:
            raise ConfigError(
                f"data.{option}={column}: no such column. {nearest(column, names)}Known: {', '.join(names)}"
            )
        column = names.index(column) + 1
    if column == 0 or abs(column) > len(cells):
        wanted = names[column - 1] if names else f"data.{option}={column}"
        counted = "columns are counted from 1" if column == 0 else f"{len(cells)} columns"
        raise DataError(f"{where}: {counted}, so there is no {wanted}")
    found = cells[column - 1 if column > 0 else column].strip()
    if not found or (names and found == "_" and not is_word):
        raise DataError(
            f"{where}: no {'word' if is_word else 'tag'} in column {names[column - 1] if names else column}"
        )
    return found


def lines_of(path: Path, encoding: str) -> list[str]:
    """Return the lines of a text file, without their ends; raises ``DataError``."""
    try:
        content = path.read_bytes()
        text = content.decode(codec(encoding))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line} (byte {error.start}): {no_text_reason(encoding)}") from None
    if "\0" in text:
        raise DataError(f"{path}: holds NUL bytes, so it is no text. Expected {EXPECTED}")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _is_no_word(identity: str) -> bool:
    """Whether the first cell of a CoNLL-U line is that of a range of words or of an empty node."""
    return all(part.isdigit() for part in identity.replace("-", ".").split("."))

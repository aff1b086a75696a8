"""Inputs to predict for, one after another: files, all files of a folder, rows of a table, lines of standard input."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, DataError, SeqkitError, shortened
from seqkit.files import existing_file
from seqkit.inputs import delimited
from seqkit.inputs.delimited import Separator, read_text_table

TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", *delimited.LINES, *delimited.PARQUET, *delimited.EXCEL)


@dataclass(frozen=True)
class Source:
    """One input.

    Attributes:
        id: Its path, its row in a table, or its cell of the column that names the rows.
        read: Returns the sequence; raises ``DataError`` where it cannot be read.
        words: Of the sequence as they stand in it, where it is one of words that answers name.
    """

    id: str
    read: Callable[[], Tensor]
    words: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Sources:
    """Inputs as a person names them, each read when it is its turn.

    Args:
        spec: Of the data that the network was trained on.
        given: Files, folders, ``-`` for the lines of standard input, or what else the input kind reads, as text.
        column: Column of tables that holds the inputs.
        id: Column of tables that names their rows.
        separator: Of tables; found if None.

    Raises:
        ConfigError: A column is asked for that an input cannot have.
    """

    spec: DataSpec
    given: Sequence[Any]
    column: str | None = None
    id: str | None = None
    separator: Separator | None = None

    def __post_init__(self) -> None:
        if self.column and not hasattr(self.spec.inputs, "read_cell"):
            raise ConfigError(f"--column {self.column}: this run reads whole files; name them")
        if self.id and not self.column:
            raise ConfigError(f"--id {self.id} names the rows of a table; say --column for the one to predict for too")

    def __iter__(self) -> Iterator[Source]:
        for one in self.given:
            if isinstance(one, str) and one == "-":
                yield from self._lines(getattr(sys.stdin, "buffer", sys.stdin))
            elif _is_folder(one):
                for path in self.files_of(Path(one)):
                    yield from self._file(path)
            elif self.column:
                yield from self._rows(existing_file(one, delimited.FILE), self.column)
            else:
                own = str(one).lower().endswith(tuple(getattr(self.spec.inputs, "endings", ())))
                if hasattr(self.spec.inputs, "read_cell") and _is_table(one) and not own:
                    raise self._table_as_input(existing_file(one, delimited.FILE))
                yield from self._file(one)

    def files_of(self, folder: Path) -> list[Path]:
        """Return the files of a folder and its sub-folders that the input kind reads, by path, hidden ones left out.

        Raises:
            DataError: There are none.
        """
        endings = tuple(getattr(self.spec.inputs, "endings", ()))
        found = [path for path in _files(folder) if path.name.lower().endswith(endings)]
        if not found:
            raise DataError(f"{folder}: no file in it that ends in {', '.join(endings) or 'what this run reads'}")
        return found

    def left_out(self) -> int:
        """Return how many files of the folders are not of the kind that the network reads."""
        folders = [Path(one) for one in self.given if _is_folder(one)]
        return sum(len(_files(folder)) - len(self.files_of(folder)) for folder in folders)

    def count(self) -> int | None:
        """Return how many inputs there are; None where only reading them tells."""
        many = any(hasattr(self.spec.inputs, name) for name in ("sequences", "sentences"))
        if self.column or "-" in map(str, self.given) or many:
            return None
        return sum(len(self.files_of(Path(one))) if _is_folder(one) else 1 for one in self.given)

    def _table_as_input(self, path: Path) -> ConfigError:
        inputs, names = self.spec.inputs, read_text_table(path, self.separator).names
        files = " and ".join(getattr(inputs, "endings", ())) or "other"
        cells = getattr(inputs, "cells", "inputs")
        return ConfigError(
            f"{path}: is a table, and this run reads {files} files; if it has a column of {cells}, say --column "
            f"COLUMN. Columns: {delimited.listed(names)}"
        )

    def _file(self, source: Any) -> Iterator[Source]:
        """Yield what one file or text is: one sequence, or the many that a file holds."""
        lookback = getattr(self.spec.task, "lookback", None)
        if hasattr(self.spec.inputs, "sentences"):
            try:
                sentences = self.spec.inputs.sentences(source)
            except SeqkitError as error:
                yield Source(str(source), partial(_refuse, error))
                return
            for id, words in sentences:
                yield Source(id, partial(self.spec.inputs.read, words), words)
            return
        if hasattr(self.spec.inputs, "sequences") and _is_path(source):
            try:
                many = self.spec.inputs.sequences(Path(source), lookback)
                found = None if many is None else list(many)
            except SeqkitError as error:
                yield Source(str(source), partial(_refuse, error))
                return
            if found is not None:
                for id, sequence in found:
                    yield Source(id, partial(_given, sequence))
                return
        yield Source(str(source), lambda: self.spec.inputs.read(source, lookback))

    def _lines(self, lines: Iterable[str | bytes]) -> Iterator[Source]:
        empty = True
        for number, line in enumerate(lines, 1):
            try:
                text = _text(line, number)
            except DataError as error:
                empty = False
                yield Source(str(number), partial(_refuse, error))
                continue
            if not text:
                continue
            empty = False
            if hasattr(self.spec.inputs, "read_cell"):
                yield self._cell(str(number), text, Path(), f"line {number}")
            else:
                yield from self._file(text)
        if empty:
            raise DataError("standard input: no line to predict for")

    def _rows(self, path: Path, column: str) -> Iterator[Source]:
        table = read_text_table(path, self.separator)
        table.require(column, self.id)
        for number, (where, row) in enumerate(table, 1):
            yield self._cell(row[self.id] if self.id else str(number), row[column], path.parent, where)

    def _cell(self, id: str, cell: str, folder: Path, where: str) -> Source:
        def read() -> Tensor:
            if not cell:
                raise DataError(f"{where}: no value for '{self.column}'")
            try:
                sequence = self.spec.inputs.read_cell(cell, folder)
            except SeqkitError as error:
                raise DataError(f"{where}: {error}") from None
            if not len(sequence):
                raise DataError(f"{where}: '{shortened(cell)}' holds nothing to predict from")
            return sequence

        inputs = self.spec.inputs
        return Source(id, read, tuple(inputs.split(cell)) if hasattr(inputs, "sentences") else None)


def _text(line: str | bytes, number: int) -> str:
    """Return a line of standard input without its end; raises ``DataError`` where it is no text."""
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8") if isinstance(line, bytes) else line
    except UnicodeDecodeError:
        raise DataError(f"standard input, line {number}: is not UTF-8") from None
    if "\0" in text:
        raise DataError(f"standard input, line {number}: holds NUL bytes, so it is no text")
    return text.rstrip("\r\n")


def _is_path(source: Any) -> bool:
    return isinstance(source, str | os.PathLike) and str(source) != "-"


def _is_folder(source: Any) -> bool:
    return _is_path(source) and os.path.isdir(source)  # of a long text too, which Path.is_dir() refuses


def _is_table(source: Any) -> bool:
    """Whether a source is the path of a table, and not a text that ends so."""
    return (
        _is_path(source) and str(source).endswith(TABLES) and (os.path.isfile(source) or len(str(source).split()) == 1)
    )


def _given(sequence: Tensor) -> Tensor:
    return sequence


def _refuse(error: SeqkitError) -> Tensor:
    raise error


def _files(folder: Path) -> list[Path]:
    inside = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in inside if not any(part.startswith(".") for part in path.relative_to(folder).parts)]

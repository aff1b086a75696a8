"""Recorded sequences of any lengths with a class or numbers each: a long table, a folder of tables, or .ts files."""

# T time (rows of a sequence), I numbers per row, C targets

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import SPLITS, Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data import ordering
from seqkit.data.parts import Fraction, check_fractions, class_folders, classes, draw_parts, named_part
from seqkit.data.scaling import fitted
from seqkit.errors import ConfigError, DataError, shortened
from seqkit.files import existing, existing_file, sha256_of
from seqkit.inputs.delimited import EXCEL, PARQUET, Separator, listed
from seqkit.inputs.frames.decimals import Decimal
from seqkit.inputs.frames.long import read_long
from seqkit.inputs.frames.sequences import TS, number_columns, read_ts
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.frames.tables import Fill, Notation, fill, read_table
from seqkit.padding import pad
from seqkit.registry import register_data
from seqkit.rng import generator
from seqkit.tasks.regress.spec import Numbers

Target = str | tuple[float, ...]

TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", *PARQUET, *EXCEL)
PLACE = "a table, a .ts file, or a folder with one sub-folder of tables a class"


@dataclass(frozen=True)
class Recording:
    """A sequence: its rows (T, I), its class or its numbers, where it stands, and its split (None: to be drawn)."""

    rows_TI: np.ndarray
    target: Target
    where: str
    split: Split | None = None


@dataclass(frozen=True)
class Recordings:
    """Sequences of one file or folder, of the same columns."""

    recordings: list[Recording]
    names: tuple[str, ...]
    files: list[Path]
    targets: tuple[str, ...] = ()  # names of the numbers; none where each has a class
    notation: Notation | None = None
    rate: float | None = None


class Sequences(Dataset):
    """Samples (inputs_TI, class or numbers_C) of one part, in the units of the data."""

    def __init__(self, recordings: Sequence[Recording], ids: dict[str, int]) -> None:
        self.inputs = [torch.from_numpy(one.rows_TI).float() for one in recordings]
        targets = [ids[one.target] if isinstance(one.target, str) else one.target for one in recordings]
        self.targets = [torch.tensor(target) for target in targets]

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.inputs[index], self.targets[index]


@register_data("sequence_table")
class SequenceTable:
    """Your own recorded sequences, of any lengths, each with a class or with numbers to predict.

    As a long table, one row per sequence and step (``sequence`` names the sequence of each row, ``label`` its class or
    ``targets`` its numbers); as a folder with one sub-folder a class, one table per sequence in it; or as .ts files of
    the UEA and UCR archives. Parts that are not given are drawn by ``seed`` from the sequences of the training part,
    with classes in even proportion. Mean and scale are those of the rows of the training part.

    Args:
        path: Table, .ts file or folder; all sequences, or those of the parts that are not given.
        valid: Likewise, of the validation part.
        test: Likewise, of the test part.
        sequence: Column of a long table that names the sequence of each row.
        time_column: Column of times or whole numbers, to check that the steps of a sequence are even.
        inputs: Columns the model reads; all other columns of numbers if left out.
        label: Column of a long table with the class of a sequence.
        targets: Columns of a long table with the numbers of a sequence to predict, instead of a class.
        split: Column of a long table with train, valid or test for each sequence.
        missing: What to do about empty cells and left-out rows: refuse, fill forward from the last value, or
            interpolate.
        separator: Between the cells; found if left out.
        decimal: Decimal mark of the numbers; found if left out.
        date_format: Of the times, as %d/%m/%Y; found if left out.
        valid_fraction: Part of the sequences drawn for validation, where none is given.
        test_fraction: Part of the sequences drawn for the test, where none is given.
        seed: Of these draws.
        batch_size: Sequences per batch.

    Raises:
        ConfigError: The options contradict each other.
        DataError: There is no such file.
    """

    def __init__(
        self,
        *,
        path: str,
        valid: str | None = None,
        test: str | None = None,
        sequence: str | None = None,
        time_column: str | None = None,
        inputs: list[str] | None = None,
        label: str | None = None,
        targets: list[str] | None = None,
        split: str | None = None,
        missing: Fill = "refuse",
        separator: Separator | None = None,
        decimal: Decimal | None = None,
        date_format: str | None = None,
        valid_fraction: Fraction = 0.1,
        test_fraction: Fraction = 0.1,
        seed: NonNegativeInt = 0,
        batch_size: PositiveInt = 32,
    ) -> None:
        given = {"train": path, "valid": valid, "test": test}
        self.places = {part: existing(place, PLACE) for part, place in given.items() if place is not None}
        named = {"sequence": sequence, "label": label, "targets": targets, "split": split}
        if any(_is_long(place) for place in self.places.values()):
            if sequence is None or (label is None) == (targets is None):
                raise ConfigError(
                    "a table of sequences needs data.sequence=COLUMN and either data.label=COLUMN (a class) or "
                    "data.targets=[COLUMN] (numbers)"
                )
            if targets == []:
                raise ConfigError("data.targets=[]: name at least one column")
        elif option := next((name for name, value in named.items() if value is not None), None):
            raise ConfigError(f"data.{option} is for a table with many sequences; {path} is none")
        if split and (valid or test):
            raise ConfigError(
                "data.split names the parts in one table; data.valid and data.test are files of their own"
            )
        self.sequence = sequence
        self.time_column = time_column
        self.inputs = inputs
        self.label = label
        self.targets = targets
        self.split = split
        self.missing: Fill = missing
        self.notation = Notation(separator, decimal, date_format)
        self.fractions = check_fractions(valid_fraction, test_fraction)
        self.seed = seed
        self.batch_size = batch_size

    def setup(self) -> None:
        """Read the sequences and make the parts.

        Raises:
            DataError: A file has not what the options name, or a part has no sequence.
        """
        read = {part: self._read(place) for part, place in self.places.items()}
        first = read["train"]
        for part, other in read.items():
            if (other.names, other.targets) != (first.names, first.targets):
                raise DataError(
                    f"{self.places[part]}: columns {', '.join(other.names)}; those of {self.places['train']} are "
                    f"{', '.join(first.names)}. Expected the same"
                )
        recordings = [*first.recordings]
        for part in SPLITS[1:]:
            if part in read:
                recordings += [replace(one, split=part) for one in read[part].recordings]
        recordings, drawn = self._drawn(recordings, read)
        parts = {split: [one for one in recordings if one.split == split] for split in SPLITS}
        origin = self.places["train"]
        if all(len(one.rows_TI) == 1 for one in recordings):
            raise DataError(f"{origin}: every sequence has one row. Expected several steps; is data.sequence right?")
        ids: dict[str, int] = {}
        task: Any
        if first.targets:
            task = _numbers(parts["train"], first.targets)
        else:
            labels = {split: [(str(one.target), one.where) for one in own] for split, own in parts.items()}
            task = classes(labels, "sequence", origin)
            ids = {name: number for number, name in enumerate(task.names)}
        titles = [f"column '{shortened(name)}'" for name in first.names]
        mean_I, scale_I = fitted(origin, titles, np.concatenate([one.rows_TI for one in parts["train"]]), "standard")
        notation = first.notation or Notation()
        self.spec = DataSpec(
            Frames(
                first.names,
                tuple(mean_I.tolist()),
                tuple(scale_I.tolist()),
                rate=first.rate,
                time_column=self.time_column,
                missing=self.missing,
                separator=notation.separator,
                decimal=notation.decimal,
                date_format=notation.date_format,
                series=self.sequence,
            ),
            task,
        )
        self._parts = {split: Sequences(parts[split], ids) for split in SPLITS}
        content = sha256_of([file for one in read.values() for file in one.files])
        splits = [str(one.split) for one in recordings]
        self.fingerprint = sha256("\n".join([content, *splits]).encode()).hexdigest()
        lengths = sorted(len(one.rows_TI) for one in recordings)
        self.facts: dict[str, Any] = {"origin": str(origin)}
        if notation.words:
            self.facts["read as"] = notation.words
        self.facts["inputs"] = listed(first.names)
        self.facts |= {str(split): f"{len(parts[split]):,} sequences" for split in SPLITS}
        self.facts |= {"steps": f"{lengths[0]:,} to {lengths[-1]:,} per sequence", "split": drawn}

    def part(self, split: Split) -> Dataset:
        return self._parts[split]

    def collate(self, samples: Sequence[tuple[Tensor, Tensor]]) -> Batch:
        inputs, targets = zip(*samples, strict=True)
        return Batch(*pad(inputs), torch.stack(targets))

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> ordering.Order:
        lengths = [len(rows_TI) for rows_TI in self._parts[split].inputs]
        return ordering.by_length(lengths, split, batch_size, seed, epoch)

    def _read(self, place: Path) -> Recordings:
        if place.is_dir():
            return self._read_folder(place)
        return self._read_ts(place) if place.suffix == TS else self._read_long(place)

    def _read_long(self, path: Path) -> Recordings:
        assert self.sequence is not None
        targets = self.targets or []
        texts = [name for name in (self.label, self.split) if name]
        others = [name for name in (self.sequence, self.time_column, *texts, *targets) if name]
        names = self.inputs or number_columns(path, others, self.notation)
        table = read_long(
            path, self.sequence, self.time_column, names, targets, texts, self.missing, notation=self.notation
        )
        recordings = []
        for one in table.series:
            where = f"{path}, sequence '{shortened(one.name)}'"
            split = named_part(str(one.static[self.split]), where) if self.split else None
            target: Target = str(one.static[self.label]) if self.label else tuple(float(one.static[t]) for t in targets)
            recordings.append(Recording(one.table.values_RN, target, where, split))
        rate = table.times.rate if table.times else None
        return Recordings(recordings, tuple(names), [path], tuple(targets), table.notation, rate)

    def _read_ts(self, path: Path) -> Recordings:
        found = read_ts(path, self.missing)
        if found.labels is None:
            raise DataError(f"{path}: neither @classLabel nor @targetLabel is true in its header. Expected labels")
        recordings = []
        for case in found.cases:
            where = case.table.where(0)
            assert case.label is not None
            target: Target = case.label
            if found.labels == "target":
                try:
                    target = (float(case.label),)
                except ValueError:
                    raise DataError(f"{where}: target '{shortened(case.label)}' is not a number") from None
            recordings.append(Recording(case.table.values_RN, target, where))
        targets = ("target",) if found.labels == "target" else ()
        return Recordings(recordings, found.cases[0].table.names, [path], targets)

    def _read_folder(self, folder: Path) -> Recordings:
        recordings, files, names, notation, rate = [], [], None, None, None
        for place in class_folders(folder, f"Give the parts as data.path={folder}/train data.test={folder}/test"):
            paths = sorted(path for path in place.rglob("*") if path.name.lower().endswith(TABLES))
            if not paths:
                raise DataError(f"{place}: no table in it; each sub-folder is a class and needs some")
            for path in paths:
                wanted = self.inputs or list(names or ())
                table = read_table(existing_file(path, "a table"), self.time_column, wanted, not wanted, self.notation)
                table, _ = fill(table, self.missing)
                names = names or (tuple(self.inputs) if self.inputs else table.names)
                order = [table.names.index(name) for name in names]
                recordings.append(Recording(table.values_RN[:, order], place.name, str(path)))
                notation = notation or table.notation
                rate = rate or (table.times.rate if table.times else None)
                files.append(path)
        if names is None:
            raise DataError(f"{folder}: no tables. Expected one sub-folder of them for each class")
        return Recordings(recordings, names, files, notation=notation, rate=rate)

    def _drawn(self, recordings: list[Recording], read: dict[str, Recordings]) -> tuple[list[Recording], str]:
        """Return the recordings with a split each, and how they came by it."""
        given = {one.split for one in recordings}
        fractions = {split: fraction for split, fraction in self.fractions.items() if split not in given}
        groups = ["" if read["train"].targets else str(one.target) for one in recordings]
        draw = generator("sequence_table", self.seed)
        if self.split and "train" not in given:
            raise DataError(f"{self.places['train']}: column '{self.split}' has no row with 'train'")
        splits = draw_parts(
            [one.split for one in recordings], groups, fractions, draw, self.places["train"], "sequences"
        )
        by = [f"{split} as given" for split in SPLITS[1:] if split in given]
        by += [f"{split} {fraction:g} drawn, data.seed={self.seed}" for split, fraction in fractions.items()]
        return [replace(one, split=split) for one, split in zip(recordings, splits, strict=True)], "; ".join(by)


def _is_long(place: Path) -> bool:
    """Whether a place is a table that holds many sequences."""
    return place.is_file() and place.suffix != TS


def _numbers(recordings: list[Recording], names: tuple[str, ...]) -> Numbers:
    values_NC = np.array([one.target for one in recordings], dtype=np.float64)
    constant_C = (values_NC == values_NC[0]).all(0)
    if constant_C.any():
        name = names[int(constant_C.argmax())]
        raise DataError(f"{recordings[0].where}: target '{name}' never changes in the training part")
    return Numbers(names, tuple(values_NC.mean(0).tolist()), tuple(values_NC.std(0).tolist()))

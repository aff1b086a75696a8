"""The user's own sound: WAV and FLAC files, by folder or by manifest, with a label or a transcript each."""

# B batch, S samples, U symbols of a transcript

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from logging import getLogger
from math import ceil
from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import SPLITS, Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data import ordering
from seqkit.data.parts import Fraction, check_fractions, classes, draw_parts
from seqkit.data.sound_files import Item, read_folder, read_manifest, with_header
from seqkit.errors import ConfigError, DataError
from seqkit.files import existing_file, existing_folder, sha256_of
from seqkit.inputs.delimited import Separator
from seqkit.inputs.waveform.reading import read_waveform
from seqkit.inputs.waveform.spec import Waveform
from seqkit.padding import pad
from seqkit.registry import register_data
from seqkit.rng import generator
from seqkit.tasks.transcribe.spec import Transcript

LOG = getLogger("seqkit")
QUIETEST = 1e-5  # between a waveform's extremes; below one step of 16 bits


@register_data("audio_folder")
class AudioFolder:
    """Own WAV and FLAC files: one sub-folder a class, or a manifest with a label or a transcript of each file.

    Several channels are mixed to one, other sample rates are resampled. Parts that a manifest does not give are drawn
    by ``seed`` from its training rows, with classes in even proportion.

    Args:
        path: Folder with one sub-folder of files for each class.
        manifest: Table (CSV, TSV, JSONL, Parquet or Excel) with columns ``path`` (relative to the manifest), ``label``
            or ``transcript``, and optionally ``split`` (train, valid or test); other columns are ignored. Instead of
            ``path``.
        separator: Between the cells of the manifest; found if left out.
        sample_rate: Samples a second that all files are brought to; the most common one if not given.
        valid_fraction: Part of the files drawn for validation, where a manifest does not say which.
        test_fraction: Part of the files drawn for the test, where a manifest does not say which.
        seed: Of these draws.
        cache_mb: Decoded sound is kept in memory if all of it fits in so many megabytes; else it is decoded each time.
        batch_size: Files per batch.

    Raises:
        ConfigError: Both or neither of ``path`` and ``manifest``, or fractions that leave no training part.
        DataError: A file, row or value that cannot be used.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        manifest: str | None = None,
        separator: Separator | None = None,
        sample_rate: PositiveInt | None = None,
        valid_fraction: Fraction = 0.1,
        test_fraction: Fraction = 0.1,
        seed: NonNegativeInt = 0,
        cache_mb: NonNegativeInt = 1000,
        batch_size: PositiveInt = 32,
    ) -> None:
        if (path is None) == (manifest is None):
            which = "one of them" if path is None else "not both"
            raise ConfigError(
                f"data=audio_folder needs data.path=FOLDER (one sub-folder a class) or data.manifest=FILE.csv, {which}"
            )
        self.fractions = check_fractions(valid_fraction, test_fraction)
        folder = "a folder with one sub-folder of files a class"
        table = "a table with columns path and label or transcript"
        self.folder = None if path is None else existing_folder(path, folder)
        self.manifest = None if manifest is None else existing_file(manifest, table)
        self.separator = separator
        self.sample_rate = sample_rate
        self.seed = seed
        self.cache_mb = cache_mb
        self.batch_size = batch_size

    def setup(self) -> None:
        if self.manifest is not None:
            kind, items = read_manifest(self.manifest, self.separator)
        else:
            assert self.folder is not None
            kind, items = "label", read_folder(self.folder)
        items = [with_header(item) for item in items]
        origin = str(self.manifest or self.folder)
        items, drawn = self._split(items, stratified=kind == "label")
        self._items = items
        parts = {split: [item for item in items if item.split == split] for split in SPLITS}
        if kind == "label":
            labels = {split: [(item.target, item.where) for item in own] for split, own in parts.items()}
            task: Any = classes(labels, "file", origin)
        else:
            task = _transcript(parts)
        rates = Counter(item.rate for item in items)
        rate = self.sample_rate or max(rates, key=lambda value: (rates[value], value))
        self.spec = DataSpec(Waveform(rate), task)
        ids = {name: i for i, name in enumerate(task.names if kind == "label" else task.symbols)}
        self._kind = kind
        self._parts = {split: _Sounds(parts[split], rate, ids, kind) for split in SPLITS}
        seconds = {split: sum(item.samples / item.rate for item in parts[split]) for split in SPLITS}
        if sum(seconds.values()) * rate * 4 <= self.cache_mb * 1e6:
            for part in self._parts.values():
                part.decode()
            _check_silence(self._parts, origin)
        digests = [sha256_of([item.path]) for item in items]
        _warn_of_copies(items, digests, origin)
        listing = [(item.target, item.split, rate) for item in items]
        content = sha256("\n".join(digests).encode()).hexdigest()
        self.fingerprint = sha256((content + repr(listing)).encode()).hexdigest()
        sizes = {split: f"{len(parts[split]):,} files, {seconds[split] / 60:.1f} minutes" for split in SPLITS}
        self.facts = {
            "origin": origin,
            **{str(split): size for split, size in sizes.items()},
            "split": drawn,
            "sample rate": f"{rate} Hz, {sum(item.rate != rate for item in items):,} of {len(items):,} files resampled",
        }

    def part(self, split: Split) -> Dataset:
        return self._parts[split]

    def collate(self, samples: list[Any]) -> Batch:
        waveforms, targets = zip(*samples, strict=True)
        inputs_BS, lengths_B = pad(waveforms)
        if self._kind == "label":
            return Batch(inputs_BS, lengths_B, torch.stack(targets))
        targets_BU, _ = pad(targets)
        return Batch(inputs_BS, lengths_B, targets_BU, torch.tensor([len(target) for target in targets]))

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Sequence[Sequence[int]]:
        items = self._parts[split].items
        if split != "train":
            return ordering.sequential(len(items), batch_size)
        milliseconds = [round(1000 * item.samples / item.rate) for item in items]
        return ordering.bucketed(milliseconds, batch_size, seed, epoch)

    def check_steps(self, steps: Callable[[int], int]) -> None:
        """Refuse the first file whose transcript needs more output steps than its sound gives.

        Connectionist temporal classification needs one step per symbol, and one between two equal symbols.

        Args:
            steps: Output steps of a waveform of so many samples at the spec's rate.

        Raises:
            DataError: Names the manifest's line, and both numbers.
        """
        for item in self._items if self._kind == "transcript" else ():
            needs = len(item.target) + sum(left == right for left, right in pairwise(item.target))
            gives = steps(ceil(item.samples * self.spec.inputs.sample_rate / item.rate))
            if needs > gives:
                raise DataError(
                    f"{item.where}: a transcript of {len(item.target):,} symbols needs {needs:,} output steps, "
                    f"{item.path.name} gives {gives:,}; is it the transcript of another file?"
                )

    def _split(self, items: list[Item], stratified: bool) -> tuple[list[Item], str]:
        """Return the items with a split each, and how they came by it."""
        given = [split for split in SPLITS if any(item.split == split for item in items)]
        if given and "train" not in given:
            raise DataError(f"{self.manifest}: column 'split' has no row with 'train'")
        by_manifest = f"{' and '.join(given)} by the manifest" if given else ""
        fractions = {split: fraction for split, fraction in self.fractions.items() if split not in given}
        if not fractions:
            return items, "by the manifest"
        splits = draw_parts(
            [item.split for item in items],
            [item.target if stratified else "" for item in items],
            fractions,
            generator("audio_folder", self.seed),
            self.manifest or self.folder,
            "files",
        )
        drawn = " and ".join(f"{split} {fraction:g}" for split, fraction in fractions.items())
        how = f"drawn from {'its training rows' if given else 'all files'}, data.seed={self.seed}: {drawn}"
        how += " of each class" if stratified else ""
        text = f"{by_manifest}; {how}" if given else how
        return [replace(item, split=split) for item, split in zip(items, splits, strict=True)], text


class _Sounds(Dataset):
    """The files of one part; a sample is waveform_S with a class id, or with the symbol ids of its transcript."""

    def __init__(self, items: list[Item], rate: int, ids: dict[str, int], kind: str) -> None:
        self.items = items
        self.rate = rate
        self.ids = ids
        self.kind = kind
        self.decoded: list[Tensor] | None = None

    def decode(self) -> None:
        """Keep all waveforms in memory."""
        self.decoded = [read_waveform(item.path, self.rate) for item in self.items]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        item = self.items[index]
        waveform_S = read_waveform(item.path, self.rate) if self.decoded is None else self.decoded[index]
        target = self.ids[item.target] if self.kind == "label" else [self.ids[symbol] for symbol in item.target]
        return waveform_S, torch.tensor(target)


def _check_silence(parts: dict[Split, _Sounds], origin: str) -> None:
    """Refuse sound that is all silence, warn of files that are."""
    silent = [
        item.path
        for part in parts.values()
        for item, waveform_S in zip(part.items, part.decoded or (), strict=True)
        if waveform_S.max() - waveform_S.min() < QUIETEST
    ]
    files = sum(map(len, parts.values()))
    if len(silent) == files:
        raise DataError(f"{origin}: every file is silent. Expected recordings")
    if silent:
        LOG.warning("%s: %d of %d files are silent, such as %s", origin, len(silent), files, silent[0])


def _warn_of_copies(items: list[Item], digests: list[str], origin: str) -> None:
    """Warn of files to be scored that are trained on too."""
    trained = {digest: item for item, digest in zip(items, digests, strict=True) if item.split == "train"}
    copies = [
        (item, trained[d]) for item, d in zip(items, digests, strict=True) if item.split != "train" and d in trained
    ]
    if copies:
        LOG.warning(
            "%s: %d files to be scored are byte for byte files that are trained on, such as %s and %s",
            origin, len(copies), copies[0][0].path, copies[0][1].path,
        )  # fmt: skip


def _transcript(parts: dict[Split, list[Item]]) -> Transcript:
    symbols = tuple(sorted({symbol for item in parts["train"] for symbol in item.target}))
    for split in ("valid", "test"):
        for item in parts[split]:
            for symbol in item.target:
                if symbol not in symbols:
                    raise DataError(f"{item.where}: symbol '{symbol}' of a {split} file is in no training transcript")
    return Transcript(symbols)

"""A text of any size as token ids: tokenised once, block by block and in parallel, and from then on mapped into memory.

What is made lies in the cache, under the content of the files and what was asked of them, so that a second run starts
with it at once. Each block is written whole or not at all: a tokenising that was killed goes on where it was.
"""

# T time (tokens)

import fcntl
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seqkit import __version__
from seqkit.contracts.batch import SPLITS, Split
from seqkit.contracts.spec import DataSpec
from seqkit.errors import DataError
from seqkit.files import atomic, cache_folder, disk_reason, sha256_of, write_atomic
from seqkit.inputs.tokens.reading import decoded
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import UNKNOWN
from seqkit.ranks.place import processors
from seqkit.registry import find
from seqkit.specs import spec_from_json, spec_to_json
from seqkit.tasks.next_token.spec import NextToken

LOG = logging.getLogger("seqkit")
LARGE = 2**26
"""Bytes from which on a text is tokenised into files; a smaller one is faster read anew."""
BLOCK = 2**23  # bytes that are tokenised at once
FITTED = 2**25  # bytes of the training part, in even distances, that a tokenizer is fitted to


class Block(NamedTuple):
    """Lines of a file, from byte ``start`` to byte ``end``; ``closed`` ends the last one where the file does not."""

    path: str
    start: int
    end: int
    closed: bool

    def text(self, encoding: str, replace: bool) -> str:
        """Return the text, each line ended as ``read_text`` ends it; see there for the arguments."""
        with open(self.path, "rb") as file:
            file.seek(self.start)
            text = decoded(Path(self.path), file.read(self.end - self.start), encoding, replace, self.start)
        return text + "\n" if self.closed and not text.endswith("\n") else text


class MappedTokens:
    """Token ids in files, as one sequence (T,): a slice is read when it is asked for.

    Args:
        paths: Of arrays of whole numbers, as numpy writes them, in their order.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self._arrays = [np.load(path, mmap_mode="r") for path in self.paths]
        self._ends = np.cumsum([len(array) for array in self._arrays])

    def __reduce__(self) -> Any:
        return MappedTokens, (self.paths,)  # a memory map would be pickled with its content

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, wanted: slice) -> Tensor:
        start, stop, _ = wanted.indices(len(self))
        first, last = (int(place) for place in np.searchsorted(self._ends, [start, stop - 1], side="right"))
        pieces = []
        for number in range(first, last + 1 if stop > start else first):
            before = int(self._ends[number - 1]) if number else 0
            pieces.append(self._arrays[number][max(0, start - before) : stop - before])
        return torch.from_numpy(np.concatenate(pieces or [np.empty(0)]).astype(np.int64))


@dataclass(frozen=True)
class Corpus:
    """A tokenised text.

    Attributes:
        spec: With the tokenizer, fitted to the training part.
        parts: Token ids of each split.
        sizes: Tokens of each split, and those of them that are not in the vocabulary.
        returns: Line ends of Windows that were read as ``\\n``.
        replaced: Characters U+FFFD.
        digests: sha256 of the content of each place.
    """

    spec: DataSpec
    parts: dict[Split, MappedTokens]
    sizes: dict[str, tuple[int, int]]
    returns: int
    replaced: int
    digests: tuple[str, ...]


def is_large(places: Sequence[Sequence[Path]]) -> bool:
    """Whether files are together so large that their tokens are to be kept in files."""
    return sum(file.stat().st_size for files in places for file in files) >= LARGE


def tokenised(
    places: Sequence[Sequence[Path]],
    name: str,
    vocab_size: int | None,
    split: Sequence[float],
    encoding: str = "utf-8",
    replace: bool = False,
) -> Corpus:
    """Return the corpus of some files, from the cache or made now.

    Args:
        places: Files of the three splits, or of one place that is cut by ``split``, at line ends.
        name: Of the tokenizer.
        vocab_size: Tokens to keep, ``<unk>`` among them; None keeps all.
        split: Fractions of the bytes of one place for each split.
        encoding: Of the files.
        replace: Replace what is no text in it, instead of refusing it.

    Raises:
        DataError: A file cannot be read or is not UTF-8 text, or there is no room for the tokens.
    """
    component, folder = find("tokenizer", name), cache_folder() / "corpora"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digests = tuple(_digest(files, folder) for files in places)
        what = (
            __version__,
            digests,
            name,
            component.origin.sha256,
            vocab_size,
            tuple(split),
            BLOCK,
            FITTED,
            encoding,
            replace,
        )
        folder /= sha256(repr(what).encode()).hexdigest()[:16]
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes that start together one tokenises
            if not (folder / "corpus.json").exists():
                _tokenise(folder, _parts(places, split), component.factory, vocab_size, encoding, replace)
    except OSError as error:
        raise DataError(f"{folder}: the tokens cannot be kept there ({disk_reason(error)})") from None
    made = json.loads((folder / "corpus.json").read_text())
    parts = {split: MappedTokens([folder / file for file in made["files"][split]]) for split in SPLITS}
    return Corpus(spec_from_json(made["spec"]), parts, made["sizes"], made["returns"], made["replaced"], digests)


def _tokenise(
    folder: Path, parts: dict[Split, list[Block]], kind: Any, vocab_size: int | None, encoding: str, replace: bool
) -> None:
    fitted = folder / "spec.json"
    if not fitted.exists():
        train = parts["train"]
        few = train[:: max(1, len(train) * BLOCK // FITTED)]
        LOG.info("fitting the tokenizer to %d of %d blocks of the training part", len(few), len(train))
        tokenizer = kind.fit(kind.pieces("".join(block.text(encoding, replace) for block in few)), vocab_size)
        write_atomic(fitted, json.dumps(spec_to_json(DataSpec(Tokens(tokenizer), NextToken()))))
    spec = json.loads(fitted.read_text())
    blocks = [block for split in SPLITS for block in parts[split]]
    LOG.info("tokenising %s bytes, once, into %s", f"{sum(b.end - b.start for b in blocks):,}", folder)
    work = _Work(folder, blocks, spec_from_json(spec).inputs.tokenizer, encoding, replace)
    found = []
    for number, counts in enumerate(DataLoader(work, batch_size=None, num_workers=processors()), 1):
        if isinstance(counts, DataError):
            raise counts
        found.append(counts)
        if number % max(1, len(blocks) // 10) == 0:
            LOG.info("tokenised %d of %d blocks", number, len(blocks))
    sizes: dict[str, tuple[int, ...]] = {}
    files: dict[str, list[str]] = {}
    numbers = iter(range(len(blocks)))
    for split in SPLITS:
        own = [next(numbers) for _ in parts[split]]
        sizes[split] = tuple(sum(found[number][which] for number in own) for which in (0, 1))
        files[split] = [_file(folder, number).name for number in own]
    returns, replaced = (sum(counts[which] for counts in found) for which in (2, 3))
    made = {"spec": spec, "sizes": sizes, "files": files, "returns": returns, "replaced": replaced}
    write_atomic(folder / "corpus.json", json.dumps(made))
    for counts in folder.glob("tokens-*.json"):
        counts.unlink()


class _Work(Dataset):
    """Tokenises the block that is asked for, and counts: tokens, unknown ones, line ends of Windows, U+FFFD."""

    def __init__(self, folder: Path, blocks: Sequence[Block], tokenizer: Any, encoding: str, replace: bool) -> None:
        self.folder, self.blocks, self.tokenizer = folder, blocks, tokenizer
        self.encoding, self.replace = encoding, replace

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, number: int) -> tuple[int, ...] | DataError:
        place, block = _file(self.folder, number), self.blocks[number]
        counts = place.with_suffix(".json")
        if counts.exists():
            return tuple(json.loads(counts.read_text()))
        try:
            text = block.text(self.encoding, self.replace)
        except DataError as error:  # raised in a worker, it would come with the worker's trace
            return error
        pieces = self.tokenizer.pieces(text)
        ids = self.tokenizer.ids(pieces)
        with atomic(place) as whole:
            np.save(whole, ids.astype(np.min_scalar_type(len(self.tokenizer.vocabulary) - 1)))
        with open(block.path, "rb") as file:
            file.seek(block.start)
            returns = file.read(block.end - block.start).count(b"\r\n")
        found = len(ids), unknown(self.tokenizer, pieces, ids), returns, text.count("\ufffd")
        write_atomic(counts, json.dumps(found))
        return found


def unknown(tokenizer: Any, pieces: Any, ids: np.ndarray) -> int:
    """Return how many tokens are not in the vocabulary, those apart that are written ``<unk>`` in the text."""
    if UNKNOWN not in tokenizer.vocabulary:
        return 0
    return int((ids == 0).sum()) - (pieces.count(UNKNOWN) if isinstance(pieces, list) else 0)


def _file(folder: Path, number: int) -> Path:
    return folder / f"tokens-{number:06d}.npy"


def _parts(places: Sequence[Sequence[Path]], split: Sequence[float]) -> dict[Split, list[Block]]:
    """Return the blocks of each split."""
    if len(places) == 1:
        [files] = places
        sizes = [file.stat().st_size for file in files]
        ends = [round(sum(sizes) * round(sum(split[:n]), 9)) for n in range(4)]
        return {name: _blocks(files, *edges) for name, edges in zip(SPLITS, pairwise(ends), strict=True)}
    return {
        name: _blocks(files, 0, sum(file.stat().st_size for file in files))
        for name, files in zip(SPLITS, places, strict=True)
    }


def _blocks(files: Sequence[Path], first: int, end: int) -> list[Block]:
    """Cut the bytes from ``first`` to ``end`` of some files, joined, into blocks; each edge is put behind its line."""
    found, before = [], 0
    for path in files:
        size = path.stat().st_size
        low, high = (min(max(edge - before, 0), size) for edge in (first, end))
        if low < high:
            with path.open("rb") as file:
                edges = dict.fromkeys(_behind_line(file, edge, size) for edge in (*range(low, high, BLOCK), high))
            closed = len(files) > 1
            found += [Block(str(path), *edge, closed and edge[1] == size) for edge in pairwise(edges)]
        before += size
    return found


def _behind_line(file: Any, place: int, size: int) -> int:
    """Return the first byte behind the line with byte ``place - 1``; where it is longer than a block, the character."""
    if place in (0, size):
        return place
    file.seek(place - 1)
    ahead = file.read(BLOCK)
    end = ahead.find(b"\n")
    if end >= 0:
        return place + end
    whole = 1
    while whole < len(ahead) and ahead[whole] & 0xC0 == 0x80:  # inside a character
        whole += 1
    return min(place - 1 + whole, size)


def _digest(files: Sequence[Path], folder: Path) -> str:
    """Return the sha256 of some files; that of a file that has not changed since is known."""
    index = folder / "digests.json"
    try:
        known = json.loads(index.read_text())
    except (OSError, ValueError):
        known = {}
    found = []
    for file in files:
        state = file.stat()
        key = f"{file.resolve()} {state.st_size} {state.st_mtime_ns} {state.st_ino}"
        if key not in known:
            if state.st_size >= LARGE:
                LOG.info("reading %s once, to know its content again", file)
            known[key] = sha256_of([file])
            write_atomic(index, json.dumps(known))
        found.append(known[key])
    return found[0] if len(found) == 1 else sha256("\n".join(found).encode()).hexdigest()

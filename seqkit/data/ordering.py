"""The order in which batches come: pure functions of their arguments."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch

from seqkit.contracts.batch import Split
from seqkit.rng import generator

Order = Sequence[Sequence[int]]


class Batches(Sequence[list[Any]]):
    """Batches that are equal to any sequence of the same ones."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)


class Consecutive(Batches):
    """Batches of consecutive samples, each made when it is asked for: a pass may be far longer than memory.

    Args:
        samples: Indices of all samples.
        batch_size: Samples per batch; the last batch may be smaller.
    """

    def __init__(self, samples: range, batch_size: int) -> None:
        self.samples = samples
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.samples) // self.batch_size)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                return [self[number] for number in range(start, stop, step)]
            return Consecutive(self.samples[start * self.batch_size : stop * self.batch_size], self.batch_size)
        start = range(len(self))[index] * self.batch_size
        return list(self.samples[start : start + self.batch_size])


def sequential(size: int, batch_size: int, first: int = 0) -> Consecutive:
    """Return ``size`` samples from ``first`` on in their order."""
    return Consecutive(range(first, first + size), batch_size)


def made_on_the_fly(size: int, split: Split, batch_size: int, epoch: int) -> Consecutive:
    """Return the samples of a part in their order; of the training part each pass has the next ``size`` ones."""
    return sequential(size, batch_size, first=epoch * size if split == "train" else 0)


def shuffled(size: int, batch_size: int, seed: int, epoch: int) -> Order:
    """Return all samples in an order drawn from (seed, epoch); the last batch may be smaller."""
    order = torch.randperm(size, generator=generator("shuffled", seed, epoch)).tolist()
    return [order[start : start + batch_size] for start in range(0, size, batch_size)]


def bucketed(lengths: Sequence[int], batch_size: int, seed: int, epoch: int, pool: int = 50) -> Order:
    """Return all samples in a random order of batches, each of samples of similar length.

    Args:
        lengths: Length of each sample.
        batch_size: Samples per batch.
        seed: Of the run.
        epoch: Pass over the data, from 0.
        pool: Batches' worth of randomly drawn samples that are sorted by length together.
    """
    draw = generator("bucketed", seed, epoch)
    order = torch.randperm(len(lengths), generator=draw).tolist()
    batches: list[Sequence[int]] = []
    for start in range(0, len(order), pool * batch_size):
        chunk = sorted(order[start : start + pool * batch_size], key=lambda index: lengths[index])
        batches += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=draw).tolist()]


def by_length(lengths: Sequence[int], split: Split, batch_size: int, seed: int, epoch: int) -> Order:
    """Return the order of samples of different lengths: ``bucketed`` for training, else ``sequential``."""
    if split != "train":
        return sequential(len(lengths), batch_size)
    return bucketed(lengths, batch_size, seed, epoch)


def stream(number: int, size: int, count: int) -> range:
    """Return the samples of one of ``count`` streams of ``size`` consecutive samples, as even as can be."""
    even, longer = divmod(size, count)
    start = number * even + min(number, longer)
    return range(start, start + even + (number < longer))


class Streams(Batches):
    """Batches of consecutive samples side by side: row b of a batch continues row b of the batch before.

    The samples are cut into streams of consecutive ones, as even as can be (longer ones first), and the streams go
    through in groups of ``batch_size``; every sample comes exactly once. Which samples share a stream does not depend
    on ``batch_size``, so a carried state is the same for any. Each batch is made when it is asked for.

    Args:
        size: Samples.
        count: Streams.
        batch_size: Streams side by side.
        batches: Those of a pass to hand out; None is all.
    """

    def __init__(self, size: int, count: int, batch_size: int, batches: range | None = None) -> None:
        self.size, self.streams, self.batch_size = size, min(count, size), batch_size
        groups = -(-self.streams // batch_size)
        self._ends = list(accumulate(len(self._stream(group * batch_size)) for group in range(groups)))
        self._batches = range(self._ends[-1]) if batches is None else batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Streams(self.size, self.streams, self.batch_size, self._batches[index])
        number = self._batches[index]
        group = bisect_right(self._ends, number)
        step, first = number - (self._ends[group - 1] if group else 0), group * self.batch_size
        own = map(self._stream, range(first, min(first + self.batch_size, self.streams)))
        return [stream[step] for stream in own if step < len(stream)]

    def _stream(self, number: int) -> range:
        return stream(number, self.size, self.streams)


class CutStreams(Batches):
    """Streams as of ``Streams``, of tokens, of which a sample is a range that is cut anew for each pass.

    All rows of a batch are equally long; in the last one the longer streams have a token more. The number of batches is
    the same for every pass.

    Args:
        size: Tokens.
        count: Streams.
        batch_size: Streams side by side.
        ends: Where the samples end in a stream, in tokens from its start, up to the length of the shortest stream.
        steps: Batches to hand out; None is all.
    """

    def __init__(self, size: int, count: int, batch_size: int, ends: np.ndarray, steps: Streams | None = None) -> None:
        self.size, self.streams, self.batch_size, self.ends = size, min(count, size), batch_size, ends
        self._steps = Streams(self.streams * len(ends), self.streams, batch_size) if steps is None else steps

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: Any) -> Any:
        found = self._steps[index]
        if isinstance(index, slice):
            return CutStreams(self.size, self.streams, self.batch_size, self.ends, found)
        return [self._tokens(*divmod(number, len(self.ends))) for number in found]

    def _tokens(self, number: int, step: int) -> range:
        whole = stream(number, self.size, self.streams)
        first, last = int(self.ends[step - 1]) if step else 0, step == len(self.ends) - 1
        return whole[first:] if last else whole[first : int(self.ends[step])]


def random_streams(size: int, count: int, batch_size: int, seq_len: int, seed: int, epoch: int) -> CutStreams:
    """Return consecutive tokens as streams, cut into samples of random lengths (Merity et al. 2018, section 4.1).

    A length is drawn about ``seq_len``, or one time in twenty about half of it, with a standard deviation of a
    fourteenth (5 for 70); all are then stretched alike, so that every pass has as many of them.

    Args:
        size: Tokens.
        count: Streams.
        batch_size: Streams side by side.
        seq_len: Nominal length.
        seed: Of the run.
        epoch: Pass over the data, from 0.
    """
    even = size // min(count, size)
    number = min(even, max(1, round(even / (0.975 * seq_len))))
    draw = np.random.default_rng(generator("random_streams", seed, epoch).initial_seed())
    mean = np.where(draw.random(number) < 0.95, seq_len, seq_len / 2)
    beyond = np.maximum(draw.normal(mean, seq_len / 14) - 1, 0)  # tokens after the first, which every sample has
    reached = beyond.cumsum()
    ends = np.arange(1, number + 1) + np.rint(reached * ((even - number) / max(reached[-1], 1e-9)))
    ends[-1] = even
    return CutStreams(size, count, batch_size, ends.astype(np.int64))


def streams(size: int, count: int, batch_size: int) -> Streams:
    """Return ``size`` consecutive samples as ``count`` streams, in groups of ``batch_size`` side by side."""
    return Streams(size, count, batch_size)


def stream_starts(size: int, count: int) -> set[int]:
    """Return the samples at which the streams of ``streams(size, count, ...)`` start."""
    count = min(count, size)
    return {stream(number, size, count).start for number in range(count)}


def rows_of_rank(indices: Sequence[int], rank: int, ranks: int) -> Sequence[int]:
    """Return the rows of a batch that a rank takes: every ``ranks``-th one, so that a stream stays where it is.

    Row b of every batch goes to rank b % ranks, however many rows the batch has left.
    """
    return indices[rank::ranks]

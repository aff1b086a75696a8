"""Synthetic data with exact targets: the adding problem."""

# N samples, T steps

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data.ordering import Order, made_on_the_fly
from seqkit.inputs.frames.spec import Frames
from seqkit.registry import register_data
from seqkit.rng import generator
from seqkit.tasks.forecast.spec import Series

BLOCK = 1024  # samples drawn at once; part of what the samples are


class Sums(Dataset):
    """Sequences (T, 2) of the adding problem with their sums (1, 1): a pure function of (seed, split, index).

    Every index from 0 has a sample; ``len`` is the number of samples per epoch.
    """

    def __init__(self, length: int, size: int, seed: int, split: Split) -> None:
        self.length = length
        self.size = size
        self.seed = seed
        self.split = split
        self._drawn: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        inputs_NT2, sums_N = self._block(index // BLOCK)
        return inputs_NT2[index % BLOCK], sums_N[index % BLOCK].view(1, 1)

    def _block(self, number: int) -> tuple[Tensor, Tensor]:
        if number not in self._drawn:
            # Cache the last two blocks: samples come in order, and a batch may span two blocks.
            self._drawn = dict([*self._drawn.items()][-1:]) | {number: self._draw(number)}
        return self._drawn[number]

    def _draw(self, block: int) -> tuple[Tensor, Tensor]:
        draw = generator("adding", self.seed, self.split, self.length, block)
        values_NT = torch.rand(BLOCK, self.length, generator=draw)
        half = self.length // 2
        first_N = torch.randint(0, half, (BLOCK,), generator=draw)
        second_N = torch.randint(half, self.length, (BLOCK,), generator=draw)
        marks_NT = torch.zeros(BLOCK, self.length)
        marks_NT.scatter_(1, torch.stack((first_N, second_N), 1), 1.0)
        return torch.stack((values_NT, marks_NT), 2), (values_NT * marks_NT).sum(1)


@register_data("adding")
class Adding:
    """The adding problem: the sum of the two marked numbers of a long sequence.

    Hochreiter and Schmidhuber (1997), section 5.4, in the form usual since: T steps of a number drawn from (0, 1) and
    a mark, which is 1 at one step of each half and 0 elsewhere. Always answering 1 has a mean squared error of 1/6.
    Every pass over the training part draws new samples.

    Args:
        length: Steps T of each sequence.
        train_size: Training sequences per epoch.
        valid_size: Sequences of the validation part.
        test_size: Sequences of the test part.
        seed: Seed of the samples.
        batch_size: Sequences per batch.
    """

    def __init__(
        self,
        *,
        length: Annotated[int, Field(ge=2, le=100_000)] = 200,  # BLOCK of them lie in memory at once
        train_size: PositiveInt = 10_000,
        valid_size: PositiveInt = 1000,
        test_size: PositiveInt = 1000,
        seed: int = 0,
        batch_size: PositiveInt = 64,
    ) -> None:
        self.length = length
        self.sizes: dict[Split, int] = {"train": train_size, "valid": valid_size, "test": test_size}
        self.seed = seed
        self.batch_size = batch_size

    def setup(self) -> None:
        self._parts = {split: Sums(self.length, size, self.seed, split) for split, size in self.sizes.items()}
        # The mean is the true one of the sum; scale 1 keeps errors in plain units.
        self.spec = DataSpec(
            Frames(("value", "mark"), (0.0, 0.0), (1.0, 1.0)),
            Series(horizon=1, names=("sum",), mean=(1.0,), scale=(1.0,)),
        )
        self.fingerprint = sha256(repr(("adding", self.length, self.sizes, self.seed, BLOCK)).encode()).hexdigest()
        self.facts: dict[str, Any] = {"made": f"on the fly, seed {self.seed}", "length": f"{self.length:,} steps"}
        self.facts |= {split: f"{size:,} sequences" for split, size in self.sizes.items()}
        self.facts["train"] += " a pass, new ones each pass"

    def part(self, split: Split) -> Dataset:
        return self._parts[split]

    def collate(self, samples: Sequence[tuple[Tensor, Tensor]]) -> Batch:
        inputs, targets = zip(*samples, strict=True)
        return Batch(torch.stack(inputs), targets=torch.stack(targets))

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Order:
        return made_on_the_fly(self.sizes[split], split, batch_size, epoch)

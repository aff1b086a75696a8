"""Pulses that differ only in how far apart they are, for what a recurrent network can measure."""

# B batch, T steps

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data.ordering import Order, made_on_the_fly
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.padding import pad
from seqkit.registry import register_data
from seqkit.rng import generator
from seqkit.tasks.classify.spec import Classes

LONGEST = 10_000_000  # steps of a sequence, which is made in memory


class Pulses(Dataset):
    """Sequences (T, 1) of pulses with their classes (): a pure function of (seed, split, index).

    Every index from 0 has a sample; ``len`` is the number of samples per epoch.
    """

    def __init__(self, distance: int, pulses: int, offset: int, size: int, seed: int, split: Split) -> None:
        self.distance = distance
        self.pulses = pulses
        self.offset = offset
        self.size = size
        self.seed = seed
        self.split = split

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        pair, label = divmod(index, 2)
        draw = generator("timing", self.seed, self.split, self.distance, self.pulses, self.offset, pair)
        late = int(torch.randint(self.offset + 1, (), generator=draw))
        last = (self.pulses - 1) * self.distance + late
        inputs_T1 = torch.zeros(last + 1, 1)
        inputs_T1[last - (self.distance - 1 + label) * torch.arange(self.pulses)] = 1.0
        return inputs_T1, torch.tensor(label)


@register_data("timing")
class Timing:
    """Tell pulses that are a number of steps apart from pulses that are one step less apart.

    After Gers and Schmidhuber (2000) and Gers, Schraudolph and Schmidhuber (2002, "Learning precise timing with LSTM
    recurrent networks"), who found that an LSTM with peepholes learns to tell spikes 50 steps apart from spikes 49
    apart. A sequence is silence (0) of a random length, then pulses (1), and ends with the last one.

    Nothing but the distance tells the class. The number of pulses is always the same, and the samples come in pairs,
    one of each class, that end at the same step: given the length, which is also the place of the last pulse, both
    classes are equally frequent. The place of the first pulse is that of the last less ``pulses - 1`` distances, and
    cannot be even as well: one who knows it, and nothing else, is right in (1 + (pulses - 1) / (offset + 1)) / 2 of
    the cases. There are only 2 (offset + 1) different sequences, and every part has them: the test is whether a
    network can measure, not whether it generalises.

    Args:
        distance: Steps from pulse to pulse in the second class; in the first it is one less.
        pulses: Pulses of each sequence.
        offset: Most steps by which the pulses come later; how many is drawn for each pair, each number equally likely.
        train_size: Training sequences per epoch.
        valid_size: Sequences of the validation part.
        test_size: Sequences of the test part.
        seed: Seed of the samples.
        batch_size: Sequences per batch.
    """

    def __init__(
        self,
        *,
        distance: Annotated[int, Field(ge=2)] = 50,
        pulses: Annotated[int, Field(ge=2)] = 2,
        offset: NonNegativeInt = 99,
        train_size: PositiveInt = 10_000,
        valid_size: PositiveInt = 1000,
        test_size: PositiveInt = 1000,
        seed: int = 0,
        batch_size: PositiveInt = 64,
    ) -> None:
        if (longest := (pulses - 1) * distance + 1 + offset) > LONGEST:
            raise ConfigError(
                f"data.distance={distance}, data.pulses={pulses} and data.offset={offset} make sequences of "
                f"{longest:,} steps; at most {LONGEST:,} can be made"
            )
        self.distance = distance
        self.pulses = pulses
        self.offset = offset
        self.sizes: dict[Split, int] = {"train": train_size, "valid": valid_size, "test": test_size}
        self.seed = seed
        self.batch_size = batch_size

    def setup(self) -> None:
        made_of = self.distance, self.pulses, self.offset
        self._parts = {split: Pulses(*made_of, size, self.seed, split) for split, size in self.sizes.items()}
        train = self.sizes["train"]
        self.spec = DataSpec(
            Frames(("pulse",), (0.0,), (1.0,)),
            Classes((str(self.distance - 1), str(self.distance)), (train - train // 2, train // 2)),
        )
        self.fingerprint = sha256(repr(("timing", *made_of, self.sizes, self.seed)).encode()).hexdigest()
        shortest = (self.pulses - 1) * self.distance + 1
        self.facts: dict[str, Any] = {
            "made": f"on the fly, seed {self.seed}",
            "length": f"{shortest:,} to {shortest + self.offset:,} steps",
        }
        self.facts |= {split: f"{size:,} sequences" for split, size in self.sizes.items()}
        self.facts["train"] += " a pass, new ones each pass"

    def part(self, split: Split) -> Dataset:
        return self._parts[split]

    def collate(self, samples: Sequence[tuple[Tensor, Tensor]]) -> Batch:
        inputs, labels = zip(*samples, strict=True)
        inputs_BT1, lengths_B = pad(inputs)
        return Batch(inputs_BT1, lengths_B, torch.stack(labels))

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Order:
        return made_on_the_fly(self.sizes[split], split, batch_size, epoch)

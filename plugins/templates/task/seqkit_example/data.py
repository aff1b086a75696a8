"""A data set that has the task: random walks."""

# B batch, T time

from hashlib import sha256

import torch
from pydantic import PositiveInt

import seqkit
from seqkit import Batch, DataSpec, Frames, generator, pad, sequential, shuffled
from seqkit_example.task import ExampleTask

SHARES = {"train": 8, "valid": 1, "test": 1}


@seqkit.register_data("example")
class ExampleData:
    """Steps of random walks: whether the walk is above its start is to be told at every step.

    Args:
        size: Walks in all three splits together.
        seed: Seed of the walks.
        batch_size: Walks per batch.
    """

    def __init__(self, *, size: PositiveInt = 1000, seed: int = 0, batch_size: PositiveInt = 32) -> None:
        self.size = size
        self.seed = seed
        self.batch_size = batch_size

    def setup(self):
        """Make the walks; data of your own would be read here."""
        self.parts = {}
        for split, share in SHARES.items():
            self.parts[split] = [self._steps(split, index) for index in range(max(1, self.size * share // 10))]
        above = torch.cat([above_start(steps_T1) for steps_T1 in self.parts["train"]])
        self.spec = DataSpec(Frames(("step",), (0.0,), (1.0,)), ExampleTask(share=above.mean().item()))
        steps = torch.cat([steps_T1 for part in self.parts.values() for steps_T1 in part])
        self.fingerprint = sha256(steps.numpy().tobytes()).hexdigest()
        self.facts = {split: f"{len(part):,} walks" for split, part in self.parts.items()}

    def part(self, split):
        return self.parts[split]

    def collate(self, samples):
        inputs_BT1, lengths_B = pad(samples)
        targets_BT, _ = pad([above_start(steps_T1) for steps_T1 in samples])
        return Batch(inputs_BT1, lengths_B, targets_BT)

    def order(self, split, batch_size, seed, epoch):
        size = len(self.parts[split])
        return shuffled(size, batch_size, seed, epoch) if split == "train" else sequential(size, batch_size)

    def _steps(self, split, index):
        draw = generator("example", self.seed, split, index)
        count = int(torch.randint(10, 30, (), generator=draw))
        return torch.randn(count, 1, generator=draw)


def above_start(steps_T1):
    """Return 1.0 at the steps after which the walk is above its start, else 0.0, as (T,)."""
    return (steps_T1.squeeze(1).cumsum(0) > 0).float()

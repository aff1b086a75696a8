"""A data set: a task that seqkit knows on an input kind that seqkit knows."""

# B batch, T time

from hashlib import sha256

import torch
from pydantic import PositiveInt

import seqkit
from seqkit import Batch, Classes, DataSpec, Frames, generator, pad, sequential, shuffled

SHARES = {"train": 8, "valid": 1, "test": 1}
NAMES = ("slow", "fast")
PERIODS = torch.tensor([12.0, 8.0])


@seqkit.register_data("example")
class ExampleData:
    """Noisy waves, slow or fast: which of the two is to be told.

    Args:
        size: Waves in all three splits together.
        seed: Seed of the waves.
        batch_size: Waves per batch.
    """

    def __init__(self, *, size: PositiveInt = 1000, seed: int = 0, batch_size: PositiveInt = 32) -> None:
        self.size = size
        self.seed = seed
        self.batch_size = batch_size

    def setup(self):
        """Make the waves; data of your own would be read here."""
        self.parts = {}
        for split, share in SHARES.items():
            self.parts[split] = [self._wave(split, index) for index in range(max(1, self.size * share // 10))]
        train = self.parts["train"]
        values = torch.cat([wave_T1 for wave_T1, _ in train])
        labels = torch.stack([label for _, label in train])
        self.spec = DataSpec(
            Frames(("value",), (values.mean().item(),), (values.std().item(),)),
            Classes(NAMES, tuple(labels.bincount(minlength=2).tolist())),
        )
        digest = sha256()
        for wave_T1, label in (sample for part in self.parts.values() for sample in part):
            digest.update(wave_T1.numpy().tobytes() + label.numpy().tobytes())
        self.fingerprint = digest.hexdigest()
        self.facts = {split: f"{len(part):,} waves" for split, part in self.parts.items()}

    def part(self, split):
        return self.parts[split]

    def collate(self, samples):
        waves, labels = zip(*samples, strict=True)
        inputs_BT1, lengths_B = pad(waves)
        return Batch(inputs_BT1, lengths_B, torch.stack(labels))

    def order(self, split, batch_size, seed, epoch):
        size = len(self.parts[split])
        return shuffled(size, batch_size, seed, epoch) if split == "train" else sequential(size, batch_size)

    def _wave(self, split, index):
        draw = generator("example", self.seed, split, index)
        label = torch.tensor(index % 2)
        steps = int(torch.randint(20, 40, (), generator=draw))
        phase = torch.rand((), generator=draw)
        wave_T = torch.sin(2 * torch.pi * (torch.arange(steps) / PERIODS[label] + phase))
        return (wave_T + 0.3 * torch.randn(steps, generator=draw))[:, None], label

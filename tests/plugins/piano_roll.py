"""A plugin of one file: piano rolls, of which the notes of the next step are predicted, a task of its own."""

# B batch, T time, N notes

from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import nn
from torchmetrics import Metric

import seqkit
from seqkit import Batch, DataSpec, Frames

NOTES = ("C", "E", "G", "A", "B")
SIZES = {"train": 40, "valid": 10, "test": 10}


@dataclass(frozen=True)
class NotesPrediction:
    """Probability of each note at the next step, (B, T, N), in 0 to 1."""

    probability_BTN: torch.Tensor


class NotesMetrics(Metric):
    def __init__(self):
        super().__init__()
        for name in ("nats", "count", "hits", "wanted"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction, batch):
        p, truth = prediction.probability_BTN.double().clamp(1e-6, 1 - 1e-6), batch.targets.double()
        self.nats -= (truth * p.log() + (1 - truth) * (1 - p).log()).sum()
        self.count += truth.numel()
        self.hits += 2 * ((p > 0.5) * truth).sum()
        self.wanted += (p > 0.5).sum() + truth.sum()

    def compute(self):
        return {"loss": self.nats / self.count, "f1": self.hits / self.wanted.clamp(min=1)}


@seqkit.register_task("notes")
@dataclass(frozen=True)
class Notes:
    """The notes of the step after each step."""

    head = "notes"
    names: tuple[str, ...]
    frequency: tuple[float, ...]

    def metrics(self, spec):
        return NotesMetrics()

    def baselines(self, spec, data, split):
        frequency_N = torch.tensor(self.frequency)
        return {
            "same notes again": lambda batch: NotesPrediction(batch.inputs),
            "training frequency": lambda batch: NotesPrediction(frequency_N.expand(batch.targets.shape)),
        }

    def figures(self, results):
        from matplotlib.figure import Figure

        figure = Figure()
        for axis, roll in zip(
            figure.subplots(2, 1), (results.batch.targets, results.prediction.probability_BTN), strict=True
        ):
            axis.imshow(roll[0].T)
            axis.set_yticks(range(len(self.names)), self.names)
        return {"piano_roll": figure}

    def answers(self, prediction, spec):
        last_BN = prediction.probability_BTN[:, -1].tolist()
        return [{"notes": dict(zip(self.names, row, strict=True))} for row in last_BN]

    def write(self, answer, path):
        path = path.with_name(f"{path.name}.txt")
        path.write_text(self.text(answer))
        return path

    def text(self, answer):
        return " ".join(name for name, p in answer["notes"].items() if p > 0.5) or "silence"


@seqkit.register_head("notes")
class NotesHead(nn.Module):
    """The notes of the next step, by binary cross-entropy.

    Args:
        bias: Start of the output's bias.
    """

    monitor = ("f1", "max")

    def __init__(self, output_size: int, spec: DataSpec, causal: bool, *, bias: float = 0.0):
        super().__init__()
        if not isinstance(spec.task, Notes):
            raise seqkit.ConfigError(f"head=notes needs notes, this data has another task; use head={spec.task.head}")
        self.output = nn.Linear(output_size, len(spec.task.names))
        nn.init.constant_(self.output.bias, bias)

    def forward(self, y_BTH, lengths_B, batch):
        return self.output(y_BTH)

    def loss(self, outputs, lengths, batch):
        total = nn.functional.binary_cross_entropy_with_logits(outputs, batch.targets, reduction="sum")
        return total, outputs.numel()

    def predict(self, outputs, lengths, batch):
        return NotesPrediction(outputs.sigmoid())


@seqkit.register_data("piano_roll")
class PianoRoll:
    """Made-up rolls: a chord that moves up the scale, by one or two notes.

    Args:
        steps: Of each roll.
        batch_size: Rolls per batch.
    """

    def __init__(self, *, steps: int = 12, batch_size: int = 8):
        self.steps, self.batch_size = steps, batch_size

    def setup(self):
        self.rolls = {}
        for seed, (split, size) in enumerate(SIZES.items()):
            draw = torch.Generator().manual_seed(seed)
            up_BT = torch.randint(1, 3, (size, self.steps + 1), generator=draw)
            place_BT = (up_BT.cumsum(1) + torch.arange(size)[:, None]) % len(NOTES)
            self.rolls[split] = nn.functional.one_hot(place_BT, len(NOTES)).float()
            self.rolls[split] += nn.functional.one_hot((place_BT + 2) % len(NOTES), len(NOTES))
        frequency = tuple(self.rolls["train"].mean((0, 1)).tolist())
        zeros, ones = (0.0,) * len(NOTES), (1.0,) * len(NOTES)
        self.spec = DataSpec(Frames(NOTES, zeros, ones), Notes(NOTES, frequency))
        self.fingerprint = sha256(repr(self.steps).encode()).hexdigest()
        self.facts = {"train": "40 rolls"}

    def part(self, split):
        return self.rolls[split]

    def collate(self, samples):
        rolls = torch.stack(samples)
        return Batch(rolls[:, :-1], targets=rolls[:, 1:])

    def order(self, split, batch_size, seed, epoch):
        size = SIZES[split]
        return (
            seqkit.shuffled(size, batch_size, seed, epoch) if split == "train" else seqkit.sequential(size, batch_size)
        )


if __name__ == "__main__":
    seqkit.main()

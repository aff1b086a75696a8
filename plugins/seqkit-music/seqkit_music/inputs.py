"""The input kind of piano rolls, and its frontend."""

# B batch, T time, N = 88 keys

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import seqkit
from seqkit import ConfigError, DataError, DataSpec
from seqkit_music.reading import read_piece
from seqkit_music.rolls import KEYS


@seqkit.register_inputs("piano_roll")
@dataclass(frozen=True)
class PianoRoll:
    """Piano rolls: 1 where one of the 88 keys sounds at a step, else 0.

    Attributes:
        steps_per_beat: Steps of a quarter note.
    """

    frontend: ClassVar[str] = "piano_roll"
    meaning: ClassVar[str] = "1 where a key of the piano sounds, else 0; A0 to C8"
    example_steps: ClassVar[int] = 16
    steps_per_beat: int

    def read(self, source: Any, lookback: int | None = None) -> Tensor:
        """Return roll_TN of a MIDI or JSON file, or of an array (T, 88)."""
        if isinstance(source, str | Path):
            return read_piece(Path(source), self.steps_per_beat)
        return self.chunk(source)

    def chunk(self, chunk: Any) -> Tensor:
        """Return roll_TN of an array (T, 88) or of one step (88,)."""
        roll_TN = torch.as_tensor(chunk).float()
        if roll_TN.shape == (KEYS,):
            roll_TN = roll_TN[None]
        if roll_TN.ndim != 2 or roll_TN.shape[1] != KEYS or not ((roll_TN == 0) | (roll_TN == 1)).all():
            raise DataError(f"a piano roll is zeros and ones of shape (steps, {KEYS}), not {tuple(roll_TN.shape)}")
        return roll_TN

    def example(self, rows: int, steps: int, draw: torch.Generator) -> Tensor:
        return (torch.rand(rows, steps, KEYS, generator=draw) < 0.05).float()


@seqkit.register_frontend("piano_roll")
class PianoRollFrontend(nn.Module):
    """The 88 keys as they are.

    Raises:
        ConfigError: The inputs are not piano rolls.
    """

    looks_ahead = None
    output_size = KEYS

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        if not isinstance(spec.inputs, PianoRoll):
            name = type(spec.inputs).__name__
            raise ConfigError(
                f"frontend=piano_roll needs piano rolls, this data has {name}; use frontend={spec.inputs.frontend}"
            )

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return inputs, lengths

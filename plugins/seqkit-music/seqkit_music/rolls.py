"""Piano rolls: which of the 88 keys sound at each step."""

# T time, N = 88 keys

from collections.abc import Sequence

import torch
from torch import Tensor

from seqkit import DataError

LOWEST, KEYS = 21, 88  # the key A0 as MIDI counts notes, and the keys from there to C8
TONES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def roll_of(steps: Sequence[Sequence[int]], where: str) -> Tensor:
    """Return roll_TN, 1 where a key sounds and else 0, of the MIDI numbers of the notes at each step.

    Raises:
        DataError: A note is no whole number, or not on the keyboard; ``where`` is named.
    """
    roll_TN = torch.zeros(len(steps), KEYS)
    for step, sounding in enumerate(steps):
        for note in sounding:
            if not isinstance(note, int) or not LOWEST <= note < LOWEST + KEYS:
                notes = f"notes {LOWEST} to {LOWEST + KEYS - 1}"
                raise DataError(f"{where}, step {step + 1}: {note} is none of the {notes}")
            roll_TN[step, note - LOWEST] = 1
    return roll_TN


def notes_of(roll_TN: Tensor) -> list[list[int]]:
    """Return the MIDI numbers of the notes at each step of a roll, lowest first."""
    return [(row.nonzero().flatten() + LOWEST).tolist() for row in roll_TN > 0.5]


def note_name(note: int) -> str:
    """Return the name of a MIDI number; 60 is C4."""
    return f"{TONES[note % 12]}{note // 12 - 1}"

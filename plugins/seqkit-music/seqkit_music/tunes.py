"""Simple tunes made up: a chord for each bar under a melody that wanders along the scale."""

# T time, N = 88 keys

import torch
from torch import Tensor

from seqkit import generator
from seqkit_music.rolls import roll_of

SCALE = (0, 2, 4, 5, 7, 9, 11)  # major, in semitones above the key note
PROGRESSIONS = ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 0))  # degrees of the scale, such as I V vi IV
BEATS = 4  # of a bar


def tune(seed: int, split: str, index: int, steps_per_beat: int) -> Tensor:
    """Return roll_TN of a tune of 2 to 4 bars, a pure function of the arguments."""
    draw = generator("tune", seed, split, index)

    def pick(count: int) -> int:
        return int(torch.randint(count, (), generator=draw))

    key = 55 + pick(12)  # from G3
    chords = PROGRESSIONS[pick(len(PROGRESSIONS))]
    place = pick(len(SCALE))
    steps: list[list[int]] = []
    for chord in chords[: 2 + pick(3)]:
        triad = [_note(key - 12, chord + third) for third in (0, 2, 4)]
        for _ in range(BEATS):
            place = min(max(place + pick(5) - 2, 0), 2 * len(SCALE))
            steps += [[*triad, _note(key, place)]] * steps_per_beat
    return roll_of(steps, "a tune")


def _note(key: int, degree: int) -> int:
    octave, place = divmod(degree, len(SCALE))
    return key + 12 * octave + SCALE[place]

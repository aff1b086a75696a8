"""MIDI files to piano rolls and back."""

# T time, N = 88 keys

from collections.abc import Sequence
from pathlib import Path

import mido
import torch
from torch import Tensor

from seqkit import DataError
from seqkit_music.rolls import KEYS, LOWEST

TICKS = 480  # per beat, in the files that are written
DRUMS = 9  # the channel whose notes have no pitch


def read_midi(path: Path, steps_per_beat: int) -> Tensor:
    """Return roll_TN of a MIDI file, all its tracks together; drums and notes beyond the 88 keys are left out.

    Args:
        path: Of the file.
        steps_per_beat: Steps of a quarter note. Starts and ends of notes are rounded to steps; each sounds for one at
            least. A note that is struck again at once is one long note.

    Raises:
        DataError: It is no MIDI file, or it has no note.
    """
    try:
        file = mido.MidiFile(path)
    except (OSError, EOFError, ValueError, LookupError) as error:
        raise DataError(f"{path}: cannot be read as MIDI ({error})") from None
    if not file.ticks_per_beat > 0:
        raise DataError(f"{path}: its time is not in beats")
    spans: list[tuple[int, int, int]] = []  # first step, step after the last, key
    started: dict[tuple[int, int], int] = {}
    tick = 0
    for message in mido.merge_tracks(file.tracks):
        tick += message.time
        if message.type not in ("note_on", "note_off") or message.channel == DRUMS:
            continue
        step = round(tick * steps_per_beat / file.ticks_per_beat)
        voice = message.channel, message.note
        first = started.pop(voice, None)
        if first is not None:
            spans.append((first, max(step, first + 1), message.note - LOWEST))
        if message.type == "note_on" and message.velocity > 0:
            started[voice] = step
    spans = [span for span in spans if 0 <= span[2] < KEYS]
    if not spans:
        raise DataError(f"{path}: has no note of the piano")
    roll_TN = torch.zeros(max(end for _, end, _ in spans), KEYS)
    for first, end, key in spans:
        roll_TN[first:end, key] = 1
    return roll_TN


def write_midi(path: Path, steps: Sequence[Sequence[int]], steps_per_beat: int) -> None:
    """Write the MIDI numbers of the notes at each step as a MIDI file; a note of several steps is one long note."""
    track = mido.MidiTrack()
    last = 0
    before: set[int] = set()
    for step, notes in enumerate([*steps, []]):
        tick = step * TICKS // steps_per_beat
        changes = [("note_off", note) for note in sorted(before - set(notes))]
        changes += [("note_on", note) for note in sorted(set(notes) - before)]
        for kind, note in changes:
            track.append(mido.Message(kind, note=note, velocity=80, time=tick - last))
            last = tick
        before = set(notes)
    track.append(mido.MetaMessage("end_of_track", time=len(steps) * TICKS // steps_per_beat - last))
    mido.MidiFile(ticks_per_beat=TICKS, tracks=[track]).save(path)

"""Pieces of music from a user's own files."""

# T time, N = 88 keys

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from seqkit import DataError
from seqkit_music.rolls import roll_of

MIDI = (".mid", ".midi")
SPLITS = ("train", "valid", "test")
WANTED = "a MIDI file (.mid) or a JSON file of the notes at each step"


def read_piece(path: Path, steps_per_beat: int) -> Tensor:
    """Return roll_TN of a MIDI file, or of a JSON file with a list of the MIDI numbers at each step.

    Raises:
        DataError: There is no such file, or it is something else.
    """
    path = path.expanduser()
    if not path.is_file():
        raise DataError(f"{path}: no such file. Expected {WANTED}")
    if path.suffix.lower() in MIDI:
        from seqkit_music.midi import read_midi  # it needs mido, which tunes and JSON do not

        return read_midi(path, steps_per_beat)
    return _roll(_read_json(path), str(path))


def read_splits(path: Path, steps_per_beat: int) -> dict[str, list[Tensor]]:
    """Return the pieces of each split.

    Args:
        path: A folder of MIDI files, with sub-folders train, valid and test, or cut by the order of their names (8, 1
            and 1 of 10); or a JSON file with train, valid and test, each a list of pieces, each a list of the MIDI
            numbers at each step, as the JSB chorales are shared.
        steps_per_beat: Steps of a quarter note in MIDI files.

    Raises:
        DataError: There are none, a split is empty, or a file is something else.
    """
    if path.is_dir():
        parts = _files(path)
        pieces = {split: [read_piece(file, steps_per_beat) for file in files] for split, files in parts.items()}
    else:
        content = _read_json(path)
        if not isinstance(content, dict) or not all(isinstance(content.get(split), list) for split in SPLITS):
            raise DataError(f"{path}: is not an object of {', '.join(SPLITS)}, each a list of pieces")
        pieces = {
            split: [_roll(steps, f"{path}, {split} {number}") for number, steps in enumerate(content[split], 1)]
            for split in SPLITS
        }
    for split, rolls in pieces.items():
        if not rolls:
            raise DataError(f"{path}: there is no piece for {split}; at least one is needed for each of the splits")
    return pieces


def _files(folder: Path) -> dict[str, list[Path]]:
    if all((folder / split).is_dir() for split in SPLITS):
        return {split: _midi_in(folder / split) for split in SPLITS}
    files = _midi_in(folder)
    tenth = max(1, len(files) // 10)
    return {"train": files[: -2 * tenth], "valid": files[-2 * tenth : -tenth], "test": files[-tenth:]}


def _midi_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in MIDI)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from None


def _roll(steps: Any, where: str) -> Tensor:
    if not isinstance(steps, list) or len(steps) < 2 or not all(isinstance(notes, list) for notes in steps):
        raise DataError(f"{where}: is not a list of two steps or more, each a list of MIDI numbers")
    return roll_of(steps, where)

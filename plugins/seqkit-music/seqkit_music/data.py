"""The data set: pieces of music as piano rolls."""

# B batch, T time, N = 88 keys

from hashlib import sha256
from pathlib import Path

from pydantic import PositiveInt

import seqkit
from seqkit import Batch, DataError, DataSpec, pad, sequential, shuffled
from seqkit_music.inputs import PianoRoll
from seqkit_music.reading import SPLITS, read_splits
from seqkit_music.task import Notes
from seqkit_music.tunes import tune


@seqkit.register_data("piano_rolls")
class PianoRolls:
    """Polyphonic music, the notes of the next step: simple tunes made up, or your own MIDI files.

    Args:
        path: Folder of MIDI files, with sub-folders train, valid and test or cut by the order of their names, or a JSON
            file with the MIDI numbers at each step of each piece of train, valid and test; null makes tunes up.
        steps_per_beat: Steps of a quarter note.
        seq_len: Steps that a piece of the training split is cut into; the other splits are whole pieces.
        size: Tunes of the training split, where they are made up; an eighth of that in each of the other splits.
        seed: Seed of the tunes.
        batch_size: Pieces per batch.

    Raises:
        DataError: There is nothing at the path, or it cannot be read.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        steps_per_beat: PositiveInt = 4,
        seq_len: PositiveInt = 128,
        size: PositiveInt = 400,
        seed: int = 0,
        batch_size: PositiveInt = 16,
    ) -> None:
        self.path = None if path is None else Path(path).expanduser()
        if self.path is not None and not self.path.exists():
            raise DataError(f"{self.path}: no such file or folder. Expected a folder of MIDI files, or a JSON of rolls")
        self.steps_per_beat = steps_per_beat
        self.seq_len = seq_len
        self.size = size
        self.seed = seed
        self.batch_size = batch_size

    def setup(self):
        """Read the pieces, or make them up."""
        pieces = read_splits(self.path, self.steps_per_beat) if self.path else self._tunes()
        self.fingerprint = sha256(
            b"".join(bytes(str((split, len(roll_TN))), "ascii") + roll_TN.numpy().tobytes()
                     for split in SPLITS for roll_TN in pieces[split])
        ).hexdigest()  # fmt: skip
        self.facts = {
            split: f"{len(rolls):,} pieces, {sum(map(len, rolls)):,} steps" for split, rolls in pieces.items()
        }
        # A cut shares a step with the next one, which is the target of its last.
        cut = [roll_TN[start : start + self.seq_len + 1] for roll_TN in pieces["train"]
               for start in range(0, len(roll_TN) - 1, self.seq_len)]  # fmt: skip
        self.parts = {**pieces, "train": cut}
        self.spec = DataSpec(PianoRoll(self.steps_per_beat), Notes())

    def part(self, split):
        return self.parts[split]

    def collate(self, samples):
        inputs_BTN, lengths_B = pad([roll_TN[:-1] for roll_TN in samples])
        targets_BTN, _ = pad([roll_TN[1:] for roll_TN in samples])
        return Batch(inputs_BTN, lengths_B, targets_BTN)

    def order(self, split, batch_size, seed, epoch):
        size = len(self.parts[split])
        return shuffled(size, batch_size, seed, epoch) if split == "train" else sequential(size, batch_size)

    def _tunes(self):
        sizes = {"train": self.size, "valid": max(1, self.size // 8), "test": max(1, self.size // 8)}
        return {
            split: [tune(self.seed, split, index, self.steps_per_beat) for index in range(size)]
            for split, size in sizes.items()
        }

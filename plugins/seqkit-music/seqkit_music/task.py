"""The task: the notes of the step after each step."""

# B batch, T time, N = 88 keys

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

import seqkit
from seqkit_music.rolls import note_name, notes_of


@dataclass(frozen=True)
class NotesPrediction:
    """Log odds of each key at the step after each step (B, T, N), and the valid steps of each row, None for all."""

    logits_BTN: Tensor
    lengths_B: Tensor | None = None


@seqkit.register_task("notes")
@dataclass(frozen=True)
class Notes:
    """The notes of the step after each step, any number at once."""

    head: ClassVar[str] = "notes"

    def metrics(self, spec):
        from seqkit_music.metrics import NotesMetrics  # torchmetrics is slow to import

        return NotesMetrics()

    def baselines(self, spec, data, split):
        from seqkit_music.baselines import note_frequencies, repeat_last

        rolls = list(data.part("train"))
        return {"note frequencies": note_frequencies(rolls), "repeat last": repeat_last(rolls)}

    def figures(self, results):
        from seqkit_music.figures import piano_rolls

        return {"piano_roll": piano_rolls(results.batch, results.prediction)}

    def answers(self, prediction, spec) -> list[dict[str, Any]]:
        """Return the MIDI numbers of the notes expected at each step from the second on; the last is yet to come."""
        rows = []
        for row, logits_TN in enumerate(prediction.logits_BTN):
            steps = len(logits_TN) if prediction.lengths_B is None else int(prediction.lengths_B[row])
            expected = notes_of(logits_TN[:steps].sigmoid())
            rows.append({"notes": expected, "steps_per_beat": spec.inputs.steps_per_beat})
        return rows

    def text(self, answer: dict[str, Any]) -> str:
        """Return the names of the notes that come next."""
        return " ".join(map(note_name, answer["notes"][-1])) or "silence"

    def write(self, answer: dict[str, Any], path: Path) -> Path:
        """Write the expected notes as a MIDI file."""
        from seqkit_music.midi import write_midi

        path = path.with_name(f"{path.name}.mid")
        write_midi(path, answer["notes"], answer["steps_per_beat"])
        return path

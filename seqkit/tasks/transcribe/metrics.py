"""Metrics of transcription, from summed edit distances."""

# B batch

from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.text import CharErrorRate, WordErrorRate

from seqkit.contracts.batch import Batch
from seqkit.tasks.transcribe.prediction import TranscriptPrediction


class TranscribeMetrics(Metric):
    """Character and word error rate, and the mean negative log likelihood per character.

    An error rate is the summed edit distance over the summed length of the true transcripts, in characters or in
    words (parted by white space), as torchmetrics counts them.

    Args:
        truths: Returns the true transcript of each row of a batch.
    """

    full_state_update = False
    character_errors: Tensor
    characters: Tensor
    word_errors: Tensor
    words: Tensor
    loss_sum: Tensor
    loss_characters: Tensor

    def __init__(self, truths: Callable[[Batch], list[str]]) -> None:
        super().__init__()
        self.truths = truths
        for name in ("character_errors", "characters", "word_errors", "words", "loss_characters"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: TranscriptPrediction, batch: Batch) -> None:
        """Add a batch to the counts."""
        texts, truths = prediction.texts, self.truths(batch)
        if prediction.nats_B is not None:
            symbols_B = torch.tensor([len(truth) for truth in truths], device=prediction.nats_B.device)
            fits_B = prediction.nats_B.isfinite()
            self.loss_sum += prediction.nats_B[fits_B].double().sum()
            self.loss_characters += symbols_B[fits_B].sum()
        # Torchmetrics sums in float32, exact for a batch but not for a large part: its counts go to ours.
        characters, words = CharErrorRate(), WordErrorRate()
        characters.update(texts, truths)
        words.update(texts, truths)
        self.character_errors += int(characters.errors)
        self.characters += int(characters.total)
        self.word_errors += int(words.errors)
        self.words += int(words.total)

    def compute(self) -> dict[str, Tensor]:
        """Return the scores by name; ``loss`` is in nats per character, NaN where the predictor gives none."""
        return {
            "character_error_rate": self.character_errors.double() / self.characters,
            "word_error_rate": self.word_errors.double() / self.words,
            "loss": self.loss_sum / self.loss_characters,
        }

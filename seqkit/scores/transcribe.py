"""Scores of transcripts, from summed edit distances."""

# B batch, T time, V symbols and the blank

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.text import CharErrorRate, WordErrorRate

from seqkit.contracts import Batch
from seqkit.heads.transcribe import ctc, greedy


class TranscribeScores(Metric):
    """Character and word error rate of the greedy transcripts and the mean CTC loss of log_probabilities_BTV.

    An error rate is the summed edit distance over the summed length of the true transcripts, in characters or in
    words (parted by white space), as torchmetrics counts them.

    Args:
        symbols: Of the transcripts.
    """

    full_state_update = False
    character_errors: Tensor
    characters: Tensor
    word_errors: Tensor
    words: Tensor
    loss_sum: Tensor
    loss_characters: Tensor

    def __init__(self, symbols: tuple[str, ...]) -> None:
        super().__init__()
        self.symbols = symbols
        for name in ("character_errors", "characters", "word_errors", "words", "loss_characters"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("loss_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> None:
        """Count a batch; ``outputs`` are log_probabilities_BTV."""
        # A transcript too long for its sound has no finite loss; its errors count all the same.
        loss_B, symbols_B = ctc(outputs, lengths, batch, strict=False)
        fits_B = loss_B.isfinite()
        self.loss_sum += loss_B[fits_B].double().sum()
        self.loss_characters += symbols_B[fits_B.cpu()].sum()
        texts, truths = greedy(outputs, lengths, self.symbols), self._truths(batch)
        # Torchmetrics sums in float32, exact for a batch but not for a large part: its counts go to ours.
        characters, words = CharErrorRate(), WordErrorRate()
        characters.update(texts, truths)
        words.update(texts, truths)
        self.character_errors += int(characters.errors)
        self.characters += int(characters.total)
        self.word_errors += int(words.errors)
        self.words += int(words.total)

    def compute(self) -> dict[str, Tensor]:
        """Return the scores; ``loss`` is in nats a character."""
        return {
            "character_error_rate": self.character_errors.double() / self.characters,
            "word_error_rate": self.word_errors.double() / self.words,
            "loss": self.loss_sum / self.loss_characters,
        }

    def _truths(self, batch: Batch) -> list[str]:
        assert batch.targets is not None
        rows = batch.targets.tolist()
        lengths = [len(row) for row in rows] if batch.target_lengths is None else batch.target_lengths.tolist()
        return ["".join(self.symbols[symbol] for symbol in row[:end]) for row, end in zip(rows, lengths, strict=True)]

"""Transcription head: connectionist temporal classification."""

# B batch, T time, H output size of the model, V symbols and the blank

from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec, wrong_task
from seqkit.precision import widened
from seqkit.registry import register_head
from seqkit.tasks.transcribe.ctc import ctc
from seqkit.tasks.transcribe.decoding import DECODERS
from seqkit.tasks.transcribe.prediction import TranscriptPrediction
from seqkit.tasks.transcribe.spec import Transcript


@register_head("transcribe")
class Transcribe(nn.Module):
    """A transcript of each sequence by CTC (Graves et al. 2006).

    The loss is in nats per symbol of the transcripts, in float32 or wider; on the CPU its gradient is deterministic.

    Args:
        decoder: Decoder: greedy (best path) takes the argmax of each step, merges repeats and drops blanks.

    Raises:
        ConfigError: The targets of the data are not transcripts.
    """

    monitor: tuple[str, Literal["min", "max"]] = ("character_error_rate", "min")
    meaning = "log probabilities of each step (CTC): 0 is the blank, s + 1 is spec.task.symbols[s]"

    def __init__(
        self, output_size: int, spec: DataSpec, causal: bool, *, decoder: Literal["greedy"] = "greedy"
    ) -> None:
        super().__init__()
        if not isinstance(spec.task, Transcript):
            raise wrong_task("transcribe", "transcripts", spec)
        self.symbols = spec.task.symbols
        self.decode = DECODERS[decoder]
        self.output = nn.Linear(output_size, len(self.symbols) + 1)
        self.row_names = dict.fromkeys(("output.weight", "output.bias"), ("the blank", *self.symbols))

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to log_probabilities_BTV."""
        return widened(self.output(y_BTH)).log_softmax(2)

    def stream(self, y_BTH: Tensor, batch: Batch, before_B1V: Tensor | None) -> tuple[Tensor, dict[str, Any], Tensor]:
        """Return the log probabilities of new steps, the text that they add, and the memory for the next call.

        Args:
            y_BTH: New steps.
            batch: Not used.
            before_B1V: Output of the step before, whose symbol the first new step may only repeat; None at the start.
        """
        outputs = self(y_BTH, None, batch)
        text = self.decode(outputs, None, self.symbols)[0]
        if before_B1V is not None:
            known = self.decode(before_B1V, None, self.symbols)[0]
            text = self.decode(torch.cat((before_B1V, outputs), 1), None, self.symbols)[0].removeprefix(known)
        return outputs, {"text": text}, outputs[:, -1:].clone()

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed CTC loss, in nats, and the number of symbols in the transcripts.

        Raises:
            DataError: A transcript needs more steps than there are outputs for it.
        """
        loss_B, symbols_B = ctc(outputs, lengths, batch)
        return loss_B.sum(), int(symbols_B.sum())

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> TranscriptPrediction:
        # A transcript too long for its sound has no finite loss; its errors count all the same.
        nats_B = None if batch.targets is None else ctc(outputs, lengths, batch, strict=False)[0]
        return TranscriptPrediction(self.decode(outputs, lengths, self.symbols), nats_B)

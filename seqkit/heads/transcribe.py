"""A transcript from a longer sequence, without alignment: connectionist temporal classification."""

# B batch, T time, H output size of the model, U symbols of a transcript, V symbols and the blank

from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqkit.contracts import Batch, DataSpec, Scores, Transcript
from seqkit.errors import ConfigError, DataError
from seqkit.registry import register_head

BLANK = 0  # the output that says "no new symbol"; symbol s of the spec is output s + 1


@register_head("transcribe")
class Transcribe(nn.Module):
    """A transcript of each sequence by CTC (Graves et al. 2006), read off greedily.

    The loss is in nats a symbol of the transcripts and computed in float32; on the CPU its gradient is
    deterministic. Greedy decoding takes the best output of every step, joins repeats and drops blanks.

    Raises:
        ConfigError: The targets of the data are not transcripts.
    """

    monitor: tuple[str, Literal["min", "max"]] = ("character_error_rate", "min")

    def __init__(self, output_size: int, spec: DataSpec, causal: bool) -> None:
        super().__init__()
        if not isinstance(spec.targets, Transcript):
            other = {"NextToken": "next_token", "Series": "forecast", "Classes": "classify"}
            kind = type(spec.targets).__name__
            raise ConfigError(f"head=transcribe needs transcripts, this data has {kind}; use head={other[kind]}")
        self.symbols = spec.targets.symbols
        self.output = nn.Linear(output_size, len(self.symbols) + 1)

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to log_probabilities_BTV."""
        return self.output(y_BTH).float().log_softmax(2)

    def stream(self, y_BTH: Tensor, batch: Batch, before_B1V: Tensor | None) -> tuple[Tensor, dict[str, Any], Tensor]:
        """Return the log probabilities of new steps, the text that they add, and what to give with the next ones.

        Args:
            y_BTH: New steps.
            batch: Not used.
            before_B1V: Output of the step before, whose symbol the first new step may only repeat; None at the start.
        """
        outputs = self(y_BTH, None, batch)
        text = greedy(outputs, None, self.symbols)[0]
        if before_B1V is not None:
            known = greedy(before_B1V, None, self.symbols)[0]
            text = greedy(torch.cat((before_B1V, outputs), 1), None, self.symbols)[0].removeprefix(known)
        return outputs, {"text": text}, outputs[:, -1:].clone()

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed CTC loss, in nats, and the number of symbols in the transcripts.

        Raises:
            DataError: A transcript needs more steps than there are outputs for it.
        """
        loss_B, symbols_B = ctc(outputs, lengths, batch)
        return loss_B.sum(), int(symbols_B.sum())

    def scores(self) -> Scores:
        from seqkit.scores.transcribe import TranscribeScores

        return TranscribeScores(self.symbols)

    def decode(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> list[dict[str, Any]]:
        """Return the text of each row."""
        return [{"text": text} for text in greedy(outputs, lengths, self.symbols)]


def ctc(
    log_probabilities_BTV: Tensor, lengths_B: Tensor | None, batch: Batch, strict: bool = True
) -> tuple[Tensor, Tensor]:
    """Return the CTC loss of each row, in nats, and the number of symbols of its transcript.

    Args:
        log_probabilities_BTV: Outputs.
        lengths_B: Valid steps of each row.
        batch: With the transcripts.
        strict: Refuse a transcript that cannot fit; else its loss is infinite.

    Raises:
        DataError: A transcript needs more steps than there are outputs for it.
    """
    assert batch.targets is not None
    rows, steps, _ = log_probabilities_BTV.shape
    targets_BU = batch.targets
    whole_B = torch.full((rows,), targets_BU.shape[1])
    # On the CPU, where torch reads lengths in any case, so that checking them costs a GPU nothing more.
    symbols_B = whole_B if batch.target_lengths is None else batch.target_lengths.cpu()
    steps_B = torch.full((rows,), steps) if lengths_B is None else lengths_B.cpu()
    needed_B = symbols_B + _repeats(targets_BU.cpu(), symbols_B)
    if strict and bool((needed_B > steps_B).any()):
        row = int((needed_B - steps_B).argmax())
        raise DataError(
            f"a transcript of {int(symbols_B[row])} symbols needs {int(needed_B[row])} output steps, its sound gives "
            f"{int(steps_B[row])}; use a smaller frontend.hop or frontend.stack, or remove it from the data"
        )
    log_probabilities_TBV = log_probabilities_BTV.transpose(0, 1)
    loss_B = nn.functional.ctc_loss(log_probabilities_TBV, targets_BU + 1, steps_B, symbols_B, BLANK, reduction="none")
    return loss_B, symbols_B


def greedy(log_probabilities_BTV: Tensor, lengths_B: Tensor | None, symbols: tuple[str, ...]) -> list[str]:
    """Return the text of each row: the best output of every valid step, repeats joined, blanks dropped."""
    best_BT = log_probabilities_BTV.argmax(2)
    new_BT = torch.ones_like(best_BT, dtype=torch.bool)
    new_BT[:, 1:] = best_BT[:, 1:] != best_BT[:, :-1]
    best_BT = best_BT.where(new_BT, BLANK)
    steps = [best_BT.shape[1]] * len(best_BT) if lengths_B is None else lengths_B.tolist()
    rows = zip(best_BT.tolist(), steps, strict=True)
    return ["".join(symbols[output - 1] for output in row[:end] if output != BLANK) for row, end in rows]


def _repeats(targets_BU: Tensor, symbols_B: Tensor) -> Tensor:
    """Count, in each row, the symbols equal to the one before: CTC needs a blank between the two."""
    same_BU = targets_BU[:, 1:] == targets_BU[:, :-1]
    inside_BU = torch.arange(targets_BU.shape[1])[1:] < symbols_B[:, None]
    return (same_BU & inside_BU).sum(1)

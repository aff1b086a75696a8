"""Connectionist temporal classification (Graves et al. 2006): the loss of transcripts without alignment."""

# B batch, T time, U symbols of a transcript, V symbols and the blank

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.errors import DataError

BLANK = 0  # the output that says "no new symbol"; symbol s of the spec is output s + 1


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


def _repeats(targets_BU: Tensor, symbols_B: Tensor) -> Tensor:
    """Count, in each row, the symbols equal to the one before: CTC needs a blank between the two."""
    same_BU = targets_BU[:, 1:] == targets_BU[:, :-1]
    inside_BU = torch.arange(targets_BU.shape[1])[1:] < symbols_B[:, None]
    return (same_BU & inside_BU).sum(1)

"""Baselines of the notes of the next step, fitted to the training split."""

# B batch, T time, N = 88 keys

from collections.abc import Sequence

import torch
from torch import Tensor

from seqkit_music.task import NotesPrediction

SURE = 0.5 + 1e-6  # so that what is repeated is also what is expected


def note_frequencies(rolls: Sequence[Tensor]):
    """Return a baseline that expects each key as often as it sounds."""
    steps_SN = torch.cat(list(rolls))
    frequency_N = (steps_SN.sum(0) + 0.5) / (len(steps_SN) + 1)  # never 0 or 1, which would cost infinitely much
    logits_N = frequency_N.logit()

    def predict(batch):
        return NotesPrediction(logits_N.to(batch.inputs.device).expand(batch.inputs.shape), batch.lengths)

    return predict


def repeat_last(rolls: Sequence[Tensor]):
    """Return a baseline that expects the last step again, as surely as keys stay on, and stay off, in the data."""
    before_SN = torch.cat([roll_TN[:-1] for roll_TN in rolls])
    after_SN = torch.cat([roll_TN[1:] for roll_TN in rolls])
    on, stay_on = before_SN.sum(), (before_SN * after_SN).sum()
    off, stay_off = (1 - before_SN).sum(), ((1 - before_SN) * (1 - after_SN)).sum()
    on_logit = ((stay_on + 0.5) / (on + 1)).clamp(min=SURE).logit()
    off_logit = -((stay_off + 0.5) / (off + 1)).clamp(min=SURE).logit()

    def predict(batch):
        return NotesPrediction(batch.inputs * on_logit + (1 - batch.inputs) * off_logit, batch.lengths)

    return predict

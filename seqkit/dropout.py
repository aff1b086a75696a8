"""Locked dropout: the same features of a sequence are dropped at all of its steps."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def locked_dropout(x: Tensor, probability: float, time: int = 1) -> Tensor:
    """Return x_t m / (1 - probability) for all steps t, with a mask m of zeros and ones for each sequence.

    Each call draws anew, so that of a stream each chunk has its own mask (variational dropout, Gal and Ghahramani 2016;
    Merity et al. 2018, section 4.2).

    Args:
        x: Sequences of features, the features last.
        probability: Of a zero in m.
        time: Axis of the steps.
    """
    return x * F.dropout(torch.ones_like(x.narrow(time, 0, 1)), probability) if probability else x


class LockedDropout(nn.Dropout):
    """Locked dropout of (B, T, features) in training."""

    def forward(self, x: Tensor) -> Tensor:
        return locked_dropout(x, self.p) if self.training else x

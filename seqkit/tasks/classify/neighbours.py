"""Baseline of classification of frames: the class of the nearest training sequence."""

# N training sequences, B batch, T time, I numbers per frame, P points that a sequence is resampled to, C classes

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.tasks.classify.prediction import ClassPrediction

POINTS = 100  # steps that each sequence is resampled to
MOST = 2000  # training sequences; with more of them, comparing each with all takes too long for a baseline


class NearestNeighbour:
    """The class of the training sequence at the smallest Euclidean distance.

    Columns are standardised by the training split, and each sequence is resampled to the same number of points. The
    probability of that class is how often it was right among the training sequences, each left out once; the others
    share the rest.

    Args:
        data: Set up; its training part has the sequences.
        mean: Of each column in the training split.
        scale: Standard deviation likewise.
        classes: Number of classes C.
    """

    def __init__(self, data: Any, mean: Sequence[float], scale: Sequence[float], classes: int) -> None:
        part = data.part("train")
        batch = data.collate([part[index] for index in range(len(part))])
        self.mean_I, self.scale_I = torch.tensor(mean), torch.tensor(scale)
        self.classes = classes
        self.train_NP, self.targets_N = self._points(batch), batch.targets
        distance_NN = torch.cdist(self.train_NP, self.train_NP).fill_diagonal_(torch.inf)
        hits = int((self.targets_N[distance_NN.argmin(1)] == self.targets_N).sum())
        self.right = (hits + 1) / (len(part) + 2)

    def __call__(self, batch: Batch) -> ClassPrediction:
        nearest_B = torch.cdist(self._points(batch), self.train_NP).argmin(1)
        probabilities_BC = torch.full((len(batch), self.classes), (1 - self.right) / max(1, self.classes - 1))
        probabilities_BC[torch.arange(len(batch)), self.targets_N[nearest_B]] = self.right
        return ClassPrediction(probabilities_BC.log())

    def _points(self, batch: Batch) -> Tensor:
        """Return the sequences of a batch, standardised and resampled, as one vector each."""
        x_BTI = ((batch.inputs.cpu() - self.mean_I) / self.scale_I).double()
        lengths = [x_BTI.shape[1]] * len(x_BTI) if batch.lengths is None else batch.lengths.tolist()
        rows = [
            torch.nn.functional.interpolate(x_TI[:length].T[None], POINTS, mode="linear", align_corners=True)
            for x_TI, length in zip(x_BTI, lengths, strict=True)
        ]
        return torch.cat(rows).flatten(1)

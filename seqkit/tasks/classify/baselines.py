"""Baseline of classification: the majority class."""

# B batch, C classes

from collections.abc import Sequence

import torch

from seqkit.contracts.batch import Batch
from seqkit.tasks.classify.prediction import ClassPrediction


def majority_class(counts: Sequence[int], batch: Batch) -> ClassPrediction:
    """Predict every class with its frequency in the training split."""
    counts_C = torch.tensor(counts, dtype=torch.float64)
    log_frequency_C = (counts_C / counts_C.sum()).log().float()
    return ClassPrediction(log_frequency_C.expand(len(batch), -1))

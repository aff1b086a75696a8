"""Metrics of regression, from sums of errors."""

# C targets

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from seqkit.contracts.batch import Batch
from seqkit.tasks.regress.prediction import NumberPrediction


class RegressMetrics(Metric):
    """Mean squared and mean absolute error, and the coefficient of determination.

    Args:
        names: Of the targets.
        mean: Of the training split, one per name.
        scale: Standard deviation of the training split, likewise.
    """

    full_state_update = False
    squares_C: Tensor  # of errors
    absolutes_C: Tensor  # of errors
    targets_C: Tensor
    squared_targets_C: Tensor
    count: Tensor

    def __init__(self, names: Sequence[str], mean: Sequence[float], scale: Sequence[float]) -> None:
        super().__init__()
        self.names, self.mean, self.scale = tuple(names), tuple(mean), tuple(scale)
        for sums in ("squares_C", "absolutes_C", "targets_C", "squared_targets_C"):
            self.add_state(sums, torch.zeros(len(names), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: NumberPrediction, batch: Batch) -> None:
        """Add the errors of a batch."""
        assert batch.targets is not None
        mean_C, scale_C = self.squares_C.new_tensor(self.mean), self.squares_C.new_tensor(self.scale)
        target_BC = (batch.targets.double() - mean_C) / scale_C
        error_BC = (prediction.values_BC.double() - mean_C) / scale_C - target_BC
        self.squares_C += error_BC.square().sum(0)
        self.absolutes_C += error_BC.abs().sum(0)
        self.targets_C += target_BC.sum(0)
        self.squared_targets_C += target_BC.square().sum(0)
        self.count += len(target_BC)

    def compute(self) -> dict[str, Tensor]:
        """Return the scores by name, each a mean over sequences and targets.

        ``mse`` and ``mae`` are those of values in standard deviations of the training split. ``r2`` is the part of
        the variance of the scored split that is explained: 1 at best, 0 for always predicting its mean; nan where a
        target never changes in it. ``mae_raw`` (of several targets ``mae_raw_NAME``) is in the units of the data.
        """
        scale_C = self.squares_C.new_tensor(self.scale)
        mse_C, mae_C = self.squares_C / self.count, self.absolutes_C / self.count
        variance_C = (self.squared_targets_C / self.count - (self.targets_C / self.count) ** 2).clamp(min=0)
        r2_C = 1 - mse_C / torch.where(variance_C > 1e-12, variance_C, torch.nan)
        scores = {"mse": mse_C.mean(), "mae": mae_C.mean(), "r2": r2_C.mean()}
        raw_C = mae_C * scale_C
        names = ("mae_raw",) if len(self.names) == 1 else tuple(f"mae_raw_{name}" for name in self.names)
        return scores | dict(zip(names, raw_C, strict=True))

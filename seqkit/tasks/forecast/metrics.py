"""Metrics of forecasting, from sums of errors."""

# B batch, F steps of the forecast (horizon), C target channels

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from seqkit.contracts.batch import Batch
from seqkit.tasks.forecast.prediction import SeriesPrediction


class ForecastMetrics(Metric):
    """Mean squared and mean absolute error, in standard deviations of the training split and in the units of the data.

    Args:
        names: Of the targets.
        scale: Standard deviation of the training split, one per name.
    """

    full_state_update = False
    squares_C: Tensor
    absolutes_C: Tensor
    count: Tensor

    def __init__(self, names: Sequence[str], scale: Sequence[float]) -> None:
        super().__init__()
        self.names, self.scale = tuple(names), tuple(scale)
        channels = len(names)
        self.add_state("squares_C", torch.zeros(channels, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("absolutes_C", torch.zeros(channels, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: SeriesPrediction, batch: Batch) -> None:
        """Add the errors of a batch."""
        assert batch.targets is not None
        scale_C = self.squares_C.new_tensor(self.scale)
        error_BFC = (prediction.values_BFC.double() - batch.targets.double()) / scale_C
        self.squares_C += error_BFC.square().sum((0, 1))
        self.absolutes_C += error_BFC.abs().sum((0, 1))
        self.count += error_BFC.shape[0] * error_BFC.shape[1]

    def compute(self) -> dict[str, Tensor]:
        """Return the scores by name, each a mean over windows and steps.

        ``mse`` and ``mae`` are those of scaled values, over all targets. In the units of the data, where these differ:
        ``mse_raw`` and ``mae_raw`` of a single target, ``mae_raw_NAME`` of each of several.
        """
        scale_C = self.squares_C.new_tensor(self.scale)
        mse_C, mae_C = self.squares_C / self.count, self.absolutes_C / self.count
        scores = {"mse": mse_C.mean(), "mae": mae_C.mean()}
        if all(scale == 1 for scale in self.scale):
            return scores
        if len(scale_C) == 1:
            return scores | {"mse_raw": (mse_C * scale_C**2)[0], "mae_raw": (mae_C * scale_C)[0]}
        raw_C = mae_C * scale_C
        return scores | {f"mae_raw_{name}": raw_C[channel] for channel, name in enumerate(self.names)}

"""Scores of a forecast, from sums of its errors."""

# B batch, F steps of the forecast (horizon), C target channels

import torch
from torch import Tensor
from torchmetrics import Metric

from seqkit.contracts import Batch, Series


class ForecastScores(Metric):
    """Mean squared and mean absolute error of forecasts (B, F, C) in deviations from the training part's mean.

    Args:
        series: What was predicted.
    """

    full_state_update = False
    squares_C: Tensor
    absolutes_C: Tensor
    count: Tensor

    def __init__(self, series: Series) -> None:
        super().__init__()
        self.series = series
        channels = len(series.names)
        self.add_state("squares_C", torch.zeros(channels, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("absolutes_C", torch.zeros(channels, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> None:
        """Add the errors of a batch; its targets are in the units of the data."""
        assert batch.targets is not None
        mean_C, scale_C = (self.squares_C.new_tensor(values) for values in (self.series.mean, self.series.scale))
        error_BFC = outputs.double() - (batch.targets.double() - mean_C) / scale_C
        self.squares_C += error_BFC.square().sum((0, 1))
        self.absolutes_C += error_BFC.abs().sum((0, 1))
        self.count += error_BFC.shape[0] * error_BFC.shape[1]

    def compute(self) -> dict[str, Tensor]:
        """Return the scores, each a mean over windows and steps.

        ``mse`` and ``mae`` are those of scaled values, over all targets. In the units of the data, where these differ:
        ``mse_raw`` and ``mae_raw`` of a single target, ``mae_raw_NAME`` of each of several.
        """
        scale_C = self.squares_C.new_tensor(self.series.scale)
        mse_C, mae_C = self.squares_C / self.count, self.absolutes_C / self.count
        scores = {"mse": mse_C.mean(), "mae": mae_C.mean()}
        if all(scale == 1 for scale in self.series.scale):
            return scores
        if len(scale_C) == 1:
            return scores | {"mse_raw": (mse_C * scale_C**2)[0], "mae_raw": (mae_C * scale_C)[0]}
        raw_C = mae_C * scale_C
        return scores | {f"mae_raw_{name}": raw_C[channel] for channel, name in enumerate(self.series.names)}

"""A plugin of one file: a quantile head on a known task."""

# B batch, F steps of the forecast (horizon), C target columns, Q quantiles

import torch
from torch import nn
from torchmetrics import Metric

import seqkit
from seqkit import DataSpec, SeriesPrediction

LEVELS = (0.1, 0.5, 0.9)


class Pinball(Metric):
    def __init__(self):
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction, batch):
        error = batch.targets.double()[..., None] - prediction.quantiles_BFCQ
        levels_Q = error.new_tensor(prediction.levels)
        self.total += torch.maximum(levels_Q * error, (levels_Q - 1) * error).sum()
        self.count += error.numel()

    def compute(self):
        return {"pinball": self.total / self.count}


@seqkit.register_head("quantile")
class Quantile(nn.Module):
    """Quantiles of the next rows, by the pinball loss (Koenker and Bassett 1978).

    Args:
        spread: Start of the distance between neighbouring quantiles.
    """

    monitor = ("pinball", "min")

    def __init__(self, output_size: int, spec: DataSpec, causal: bool, *, spread: float = 0.5):
        super().__init__()
        if not isinstance(spec.task, seqkit.Series):
            raise seqkit.ConfigError(
                f"head=quantile needs a series, this data has another task; use head={spec.task.head}"
            )
        self.series = spec.task
        self.output = nn.Linear(output_size, self.series.horizon * len(self.series.names) * len(LEVELS))

    def metrics(self):
        return Pinball()

    def forward(self, y_BTH, lengths_B, batch):
        shape = (len(y_BTH), self.series.horizon, len(self.series.names), len(LEVELS))
        return self.output(y_BTH[:, -1]).view(shape)

    def loss(self, outputs, lengths, batch):
        error = batch.targets[..., None] - self.predict(outputs, lengths, batch).quantiles_BFCQ
        levels_Q = error.new_tensor(LEVELS)
        return torch.maximum(levels_Q * error, (levels_Q - 1) * error).sum(), error.numel()

    def predict(self, outputs, lengths, batch):
        in_order = self.series.in_units(outputs, batch).sort(-1).values
        return SeriesPrediction(in_order[..., 1], in_order, LEVELS)


if __name__ == "__main__":
    seqkit.main()

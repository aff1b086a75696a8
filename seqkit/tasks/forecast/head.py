"""Forecasting head: the next rows of a series, all at once, from the state after the last row seen."""

# B batch, T time, H output size of the model, F steps of the forecast (horizon), C target columns

from collections.abc import Callable
from typing import ClassVar, Literal

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.registry import register_head
from seqkit.schema import Probability
from seqkit.tasks.forecast.base import Adaptation, Anchor, ForecastHead
from seqkit.tasks.forecast.prediction import SeriesPrediction

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


@register_head("forecast")
class Forecast(ForecastHead):
    """The next rows of a series, all at once (direct multi-step), as one number each.

    Reads the model's output at the last valid step; of a bidirectional model the backward direction at the first step,
    where it has read everything. Where the frontend makes one row per column (frontend.channels=apart), each row is
    forecast by itself, with shared weights.

    Args:
        anchor: Value that the forecast is added to: the last one seen of each target (last), or what its scaling
            subtracts (zero), as the mean of the training part or of the window; auto takes the last value where every
            target is among the inputs. Differences (data.transform=difference) are always added to the last.
        loss: Mean squared error, mean absolute error, or Huber's (squared below one deviation, absolute above), in
            units of what the scaling divides by.
        dropout: Probability of dropping an output of the model in training.
        adaptive: Whether the levels of the quantiles are adapted over time, by what they missed before: by the rate
            that the validation part asks for (true), or by one that is given, such as 0.002.

    Raises:
        ConfigError: The data is no series, or does not have what an option needs.
    """

    monitor: tuple[str, Literal["min", "max"]] = ("mse", "min")
    feeds_back: ClassVar[bool] = True

    def __init__(
        self,
        output_size: int,
        spec: DataSpec,
        causal: bool,
        rows_per_sequence: int = 1,
        *,
        anchor: Anchor = "auto",
        loss: Literal["mse", "mae", "huber"] = "mse",
        dropout: Probability = 0.0,
        adaptive: Adaptation = False,
    ) -> None:
        super().__init__("forecast", output_size, spec, causal, rows_per_sequence, anchor, dropout)
        self.calibration = {"adaptive": adaptive}
        self.loss_function = LOSSES[loss]
        self.meaning = f"the next rows in deviations: {self.series.unscaling}"

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to the forecast (B, F, C), as ``Series.encoded`` would give the values."""
        return self.per_step(y_BTH, lengths_B, batch)[..., 0] + self.anchors(batch)

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed loss and the number of values predicted."""
        assert batch.targets is not None
        return self.loss_function(outputs, self.series.encoded(batch.targets, batch), reduction="sum"), outputs.numel()

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> SeriesPrediction:
        return self.series.corrected(SeriesPrediction(self.series.decoded(outputs, batch)), batch, self.columns)

"""Forecasting head: the next rows of a series, all at once, from the state after the last row seen."""

# B batch, T time, H output size of the model, F steps of the forecast (horizon), C target columns
# I input columns

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec, wrong_task
from seqkit.errors import ConfigError
from seqkit.padding import last_valid, sequence_summary, widened
from seqkit.registry import register_head
from seqkit.schema import Probability
from seqkit.tasks.forecast.prediction import SeriesPrediction
from seqkit.tasks.forecast.spec import Series

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


@register_head("forecast")
class Forecast(nn.Module):
    """The next rows of a series, all at once (direct multi-step), as one number each.

    Reads the model's output at the last valid step; of a bidirectional model the backward direction at the first step,
    where it has read everything. Where the frontend makes one row per column (frontend.channels=apart), each row is
    forecast by itself, with shared weights.

    Args:
        anchor: Value that the forecast is added to: the last one seen of each target (last), or the training split's
            mean (zero); auto takes the last value where every target is among the inputs.
        loss: Mean squared error, mean absolute error, or Huber's (squared below one deviation, absolute above), in
            units of the training split's deviation.
        dropout: Probability of dropping an output of the model in training.

    Raises:
        ConfigError: The data is no series, or does not have what an option needs.
    """

    monitor: tuple[str, Literal["min", "max"]] = ("mse", "min")
    meaning = "the next rows in deviations: value = output * spec.task.scale + spec.task.mean"
    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        output_size: int,
        spec: DataSpec,
        causal: bool,
        rows_per_sequence: int = 1,
        *,
        anchor: Literal["auto", "last", "zero"] = "auto",
        loss: Literal["mse", "mae", "huber"] = "mse",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        series = spec.task
        if not isinstance(series, Series):
            raise wrong_task("forecast", "a series", spec)
        inputs = getattr(spec.inputs, "names", ())
        unread = [name for name in series.names if name not in inputs]
        for option, needed in (
            ("head.anchor=last", anchor == "last"),
            ("frontend.channels=apart", rows_per_sequence > 1),
        ):
            if needed and unread:
                raise ConfigError(f"{option} needs every target among the inputs; '{unread[0]}' is not")
        if not causal and output_size % 2:
            raise ConfigError(f"head=forecast needs an output per direction, this model has {output_size} for both")
        self.series = series
        self.spec = spec
        self.columns = series.columns(spec) or []
        self.anchored = anchor != "zero" and not unread
        self.causal = causal
        self.rows_per_sequence = rows_per_sequence
        self.loss_function = LOSSES[loss]
        # Not in the state dict: the spec is saved beside it and says the same.
        self.register_buffer("mean", torch.tensor(series.mean), persistent=False)
        self.register_buffer("scale", torch.tensor(series.scale), persistent=False)
        self.dropout = nn.Dropout(dropout)
        columns = 1 if rows_per_sequence > 1 else len(series.names)
        self.output = nn.Linear(output_size, series.horizon * columns)

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to the forecast (B, F, C), in deviations from the training split's mean.

        With several rows per sequence the first axis of ``y_BTH`` is B * I.
        """
        forecast = widened(self.output(self.dropout(sequence_summary(y_BTH, lengths_B, self.causal))))
        if self.rows_per_sequence > 1:
            forecast_BFC = forecast.view(len(batch), self.rows_per_sequence, -1)[:, self.columns].transpose(1, 2)
        else:
            forecast_BFC = forecast.view(len(batch), self.series.horizon, -1)
        if self.anchored:
            last_BC = last_valid(batch.inputs, batch.lengths)[:, self.columns]
            forecast_BFC = forecast_BFC + self._scaled(last_BC)[:, None]
        return forecast_BFC

    def stream(self, y_BTH: Tensor, batch: Batch, memory: None) -> tuple[Tensor, dict[str, Any], None]:
        """Return the forecast after the last of some new steps, as a tensor and as a person reads it."""
        outputs = self(y_BTH, None, batch)
        return outputs, self.series.answers(self.predict(outputs, None, batch), self.spec)[0], None

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed loss and the number of values predicted."""
        assert batch.targets is not None
        return self.loss_function(outputs, self._scaled(batch.targets), reduction="sum"), outputs.numel()

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> SeriesPrediction:
        return SeriesPrediction(self.series.in_units(outputs))

    def _scaled(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.scale

"""The next rows of a series, all at once, from the state after the last row seen."""

# B batch, T time, H output size of the model, F steps of the forecast (horizon), C target channels, I input channels

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from seqkit.contracts import Batch, DataSpec, Frames, Scores, Series
from seqkit.data.batching import last_valid
from seqkit.errors import ConfigError
from seqkit.network import HEADS
from seqkit.registry import register_head
from seqkit.schema import Probability

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


@register_head("forecast")
class Forecast(nn.Module):
    """The next rows of a series, all at once (direct multi-step), as one number each.

    Reads the model's output at the last valid step; of a bidirectional model that at the first step too, where its
    backward half has seen everything.

    Args:
        anchor: What the forecast is a change from: the last value seen of each target (last), or the training part's
            mean (zero); auto takes the last value where every target is among the inputs.
        channels: Whether one sequence of the model holds all channels together, or each apart, as frontend.channels.
        loss: Mean squared error, mean absolute error, or Huber's (squared below one deviation, absolute above), in
            units of the training part's deviation.
        dropout: Chance of each output of the model to be left out in training.

    Raises:
        ConfigError: The data is no series, or does not have what an option needs.
    """

    monitor: tuple[str, Literal["min", "max"]] = ("mse", "min")
    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        output_size: int,
        spec: DataSpec,
        causal: bool,
        *,
        anchor: Literal["auto", "last", "zero"] = "auto",
        channels: Literal["together", "apart"] = "together",
        loss: Literal["mse", "mae", "huber"] = "mse",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        series = spec.targets
        if not isinstance(series, Series):
            kind = type(series)
            raise ConfigError(f"head=forecast needs a series and this data has {kind.__name__}; use head={HEADS[kind]}")
        inputs = spec.inputs.names if isinstance(spec.inputs, Frames) else ()
        unread = [name for name in series.names if name not in inputs]
        for option, needs in (("anchor=last", anchor == "last"), ("channels=apart", channels == "apart")):
            if needs and unread:
                raise ConfigError(f"head.{option} needs every target among the inputs; '{unread[0]}' is not")
        self.series = series
        self.inputs = len(inputs)
        self.columns = [] if unread else [inputs.index(name) for name in series.names]  # where the targets are read
        self.anchored = anchor != "zero" and not unread
        self.causal = causal
        self.channels = channels
        self.loss_function = LOSSES[loss]
        # Not in the state dict: the spec is saved beside it and says the same.
        self.register_buffer("mean", torch.tensor(series.mean), persistent=False)
        self.register_buffer("scale", torch.tensor(series.scale), persistent=False)
        self.dropout = nn.Dropout(dropout)
        rows = 1 if channels == "apart" else len(series.names)
        self.output = nn.Linear(output_size if causal else 2 * output_size, series.horizon * rows)

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to the forecast (B, F, C), in deviations from the training part's mean.

        With the channels apart the first axis of ``y_BTH`` is B * I.

        Raises:
            ConfigError: ``frontend.channels`` is not what ``head.channels`` is.
        """
        apart = self.channels == "apart"
        if len(y_BTH) != len(batch) * (self.inputs if apart else 1):
            raise ConfigError(f"head.channels={self.channels} needs frontend.channels={self.channels}")
        y_BH = last_valid(y_BTH, lengths_B)
        if not self.causal:
            y_BH = torch.cat((y_BH, y_BTH[:, 0]), 1)
        forecast = self.output(self.dropout(y_BH)).float()
        if apart:
            forecast_BFC = forecast.view(len(batch), self.inputs, -1)[:, self.columns].transpose(1, 2)
        else:
            forecast_BFC = forecast.view(len(batch), self.series.horizon, -1)
        if self.anchored:
            last_BC = last_valid(batch.inputs, batch.lengths)[:, self.columns]
            forecast_BFC = forecast_BFC + self._scaled(last_BC)[:, None]
        return forecast_BFC

    def stream(self, y_BTH: Tensor, batch: Batch, memory: None) -> tuple[Tensor, dict[str, Any], None]:
        """Return the forecast after the last of some new steps, as a tensor and as a person reads it."""
        outputs = self(y_BTH, None, batch)
        return outputs, self.decode(outputs, None, batch)[0], None

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed loss and the number of values predicted."""
        assert batch.targets is not None
        return self.loss_function(outputs, self._scaled(batch.targets), reduction="sum"), outputs.numel()

    def scores(self) -> Scores:
        from seqkit.scores.forecast import ForecastScores

        return ForecastScores(self.series)

    def decode(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> list[dict[str, Any]]:
        """Return for each row the names of the targets and their values (F, C) in the units of the data."""
        values_BFC = outputs * self.scale + self.mean
        return [{"names": list(self.series.names), "values": values_FC} for values_FC in values_BFC.tolist()]

    def _scaled(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.scale

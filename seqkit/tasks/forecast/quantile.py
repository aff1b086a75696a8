"""Quantile forecasting head: several quantiles of each of the next rows, which never cross."""

# B batch, T time, H output size of the model, F steps of the forecast (horizon), C target columns, Q quantiles

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.registry import register_head
from seqkit.schema import Probability
from seqkit.tasks.forecast.base import Adaptation, Anchor, ForecastHead
from seqkit.tasks.forecast.prediction import SeriesPrediction


@register_head("quantile_forecast")
class QuantileForecast(ForecastHead):
    """Quantiles of the next rows of a series, all at once, by the pinball loss (Koenker and Bassett 1978).

    The quantile nearest to the median is an output of its own, the others are sums of positive distances from it, so
    that they never cross. Reads the model's output as head=forecast does.

    Args:
        quantiles: Their probabilities, rising.
        anchor: Value that the forecast is added to: the last one seen of each target (last), or what its scaling
            subtracts (zero), as the mean of the training part or of the window; auto takes the last value where every
            target is among the inputs.
        dropout: Probability of dropping an output of the model in training.
        adaptive: Whether the levels of the quantiles are adapted over time, by what they missed before: by the rate
            that the validation part asks for (true), or by one that is given, such as 0.002.

    Raises:
        ConfigError: The quantiles are none, or as ``Forecast``.
    """

    levels_Q: Tensor
    monitor: tuple[str, Literal["min", "max"]] = ("crps", "min")

    def __init__(
        self,
        output_size: int,
        spec: DataSpec,
        causal: bool,
        rows_per_sequence: int = 1,
        *,
        quantiles: list[float] = [0.05, 0.25, 0.5, 0.75, 0.95],  # noqa: B006  never written to
        anchor: Anchor = "auto",
        dropout: Probability = 0.0,
        adaptive: Adaptation = False,
    ) -> None:
        levels = tuple(quantiles)
        rising = all(low < high for low, high in zip((0.0, *levels), (*levels, 1.0), strict=True))
        if not levels or not rising:
            raise ConfigError(
                f"head.quantiles=[{','.join(f'{level:g}' for level in levels)}]: expected probabilities between 0 and "
                "1, rising, as [0.05,0.5,0.95]"
            )
        super().__init__(
            "quantile_forecast", output_size, spec, causal, rows_per_sequence, anchor, dropout, len(levels)
        )
        self.calibration = {"adaptive": adaptive}
        self.levels = levels
        self.register_buffer("levels_Q", torch.tensor(levels), persistent=False)
        self.middle = min(range(len(levels)), key=lambda place: abs(levels[place] - 0.5))
        self.meaning = (
            f"quantiles {', '.join(f'{level:g}' for level in levels)} (the last axis) of the next rows in deviations: "
            f"{self.series.unscaling}"
        )

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to the quantiles (B, F, C, Q), as ``Series.encoded`` would give the values."""
        numbers_BFCQ = self.per_step(y_BTH, lengths_B, batch)
        below_BFCQ, middle_BFC1, above_BFCQ = numbers_BFCQ.tensor_split([self.middle, self.middle + 1], -1)
        middle_BFC1 = middle_BFC1 + self.anchors(batch)[..., None]
        # From the middle outwards: the distances below are summed from their end.
        below_BFCQ = middle_BFC1 - F.softplus(below_BFCQ).flip(-1).cumsum(-1).flip(-1)
        above_BFCQ = middle_BFC1 + F.softplus(above_BFCQ).cumsum(-1)
        return torch.cat((below_BFCQ, middle_BFC1, above_BFCQ), -1)

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed pinball loss in deviations, and the number of quantiles predicted."""
        assert batch.targets is not None
        error_BFCQ = self.series.encoded(batch.targets, batch)[..., None] - outputs
        return torch.maximum(self.levels_Q * error_BFCQ, (self.levels_Q - 1) * error_BFCQ).sum(), outputs.numel()

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> SeriesPrediction:
        """Return the quantiles, with the one nearest to the median as the value."""
        quantiles_BFCQ = self.series.decoded(outputs, batch)
        prediction = SeriesPrediction(quantiles_BFCQ[..., self.middle], quantiles_BFCQ, self.levels)
        return self.series.corrected(prediction, batch, self.columns)

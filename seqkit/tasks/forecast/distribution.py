"""Distribution forecasting head: a probability distribution of each of the next rows."""

# B batch, T time, H output size of the model, F steps of the forecast (horizon), C target columns, Q quantiles
# S samples

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.distributions import Distribution, NegativeBinomial, Normal, StudentT

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.registry import register_head
from seqkit.schema import Probability
from seqkit.tasks.forecast.base import Adaptation, Anchor, ForecastHead
from seqkit.tasks.forecast.conformal import LEVELS
from seqkit.tasks.forecast.prediction import SeriesPrediction
from seqkit.tasks.forecast.quantile_functions import negative_binomial_quantiles, student_t_quantiles

SMALLEST = 1e-3
"""Scale, in deviations, and dispersion that a distribution has at least."""
NORMAL = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64))
"""Quantiles of the standard normal distribution."""


@register_head("distribution_forecast")
class DistributionForecast(ForecastHead):
    """A distribution of each of the next rows of a series, all at once, by maximum likelihood (DeepAR's, Salinas 2017).

    Location and scale are outputs of the network; the degrees of freedom of Student's t are learned per step and
    target. Of logarithms (data.transform=log) the value is the median. The negative binomial is for counts: its mean is
    the forecast made positive by a softplus, in units of what the scaling divides by. Reads the model's output as
    head=forecast does.

    Args:
        distribution: Of each value, given the past.
        anchor: Value that the location is added to: the last one seen of each target (last), or what its scaling
            subtracts (zero), as the mean of the training part or of the window; auto takes the last value where every
            target is among the inputs.
        dropout: Probability of dropping an output of the model in training.
        adaptive: Whether the levels of the quantiles are adapted over time, by what they missed before: by the rate
            that the validation part asks for (true), or by one that is given, such as 0.002.

    Raises:
        ConfigError: A target of a negative binomial is no count, or as ``Forecast``.
    """

    monitor: tuple[str, Literal["min", "max"]] = ("crps", "min")

    def __init__(
        self,
        output_size: int,
        spec: DataSpec,
        causal: bool,
        rows_per_sequence: int = 1,
        *,
        distribution: Literal["gaussian", "student_t", "negative_binomial"] = "gaussian",
        anchor: Anchor = "auto",
        dropout: Probability = 0.0,
        adaptive: Adaptation = False,
    ) -> None:
        name = "distribution_forecast"
        super().__init__(name, output_size, spec, causal, rows_per_sequence, anchor, dropout, numbers=2)
        self.calibration = {"adaptive": adaptive}
        self.distribution = distribution
        self.counts = distribution == "negative_binomial"
        series = self.series
        counts = series.counts or (False,) * len(series.names)
        if self.counts and (
            strange := [name for name, is_count in zip(series.names, counts, strict=True) if not is_count]
        ):
            raise ConfigError(
                f"head.distribution=negative_binomial needs whole numbers from 0; target '{strange[0]}' has others. "
                "Use gaussian or student_t"
            )
        if self.counts and series.transform != "none":
            raise ConfigError(
                "head.distribution=negative_binomial is of counts, not of what data.transform="
                f"{series.transform} makes of them; use gaussian or student_t"
            )
        if distribution == "student_t":
            self.freedom_FC = nn.Parameter(torch.full((series.horizon, len(series.names)), 8.0))
            targets = ",".join(series.names) if len(series.names) > 1 else "the target"
            self.row_names["freedom_FC"] = tuple(f"step {step} of {targets}" for step in range(series.horizon))
        self.meaning = (
            "mean and dispersion (variance = mean + dispersion * mean^2) of the next rows, the last axis"
            if self.counts
            else f"location and scale of the next rows (the last axis) in deviations: {self.series.unscaling}"
        )

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to the two numbers of each distribution (B, F, C, 2), as ``meaning`` says."""
        location_BFC, spread_BFC = self.per_step(y_BTH, lengths_B, batch).unbind(-1)
        location_BFC = location_BFC + self.anchors(batch)
        if self.counts:
            zero = torch.zeros_like(location_BFC)
            unit_BFC = self.series.in_units(zero + 1, batch) - self.series.in_units(zero, batch)
            location_BFC = unit_BFC * F.softplus(self.series.in_units(location_BFC, batch) / unit_BFC)
            location_BFC = location_BFC.to(spread_BFC.dtype).clamp(min=1e-6)
        return torch.stack((location_BFC, F.softplus(spread_BFC) + SMALLEST), -1)

    def distribution_of(self, outputs: Tensor, batch: Batch) -> Distribution:
        """Return the distribution of each value: of counts as they are, of other values in deviations."""
        first_BFC, second_BFC = outputs.double().unbind(-1)
        if self.distribution == "negative_binomial":
            failures_BFC = 1 / second_BFC
            logits_BFC = (first_BFC * second_BFC).log()  # of a success: mean = failures * odds
            return NegativeBinomial(failures_BFC, logits=logits_BFC, validate_args=False)
        if self.distribution == "student_t":
            return StudentT(self.freedom.double(), first_BFC, second_BFC, validate_args=False)
        return Normal(first_BFC, second_BFC, validate_args=False)

    @property
    def freedom(self) -> Tensor:
        """Degrees of freedom (F, C) of Student's t: more than 2, so that there is a variance."""
        return 2 + F.softplus(self.freedom_FC)

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int]:
        """Return the summed negative log likelihood, of deviations or of counts, and the number of values."""
        assert batch.targets is not None
        values_BFC = batch.targets if self.counts else self.series.encoded(batch.targets, batch)
        return -self.distribution_of(outputs, batch).log_prob(values_BFC.double()).sum(), values_BFC.numel()

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> SeriesPrediction:
        """Return the mean of each distribution, of logarithms the median, as the value, and its quantiles."""
        first_BFC, second_BFC = outputs.double().unbind(-1)
        if self.counts:
            values_BFC, quantiles_BFCQ = first_BFC, negative_binomial_quantiles(first_BFC, second_BFC, LEVELS)
        else:
            standard = student_t_quantiles(self.freedom, LEVELS) if self.distribution == "student_t" else NORMAL
            standard = standard.to(outputs.device)
            deviations_BFCQ = first_BFC[..., None] + second_BFC[..., None] * standard
            quantiles_BFCQ = self.series.decoded(deviations_BFCQ, batch)
            values_BFC = self.series.decoded(first_BFC, batch)
        prediction = SeriesPrediction(values_BFC, quantiles_BFCQ, LEVELS)
        return self.series.corrected(prediction, batch, self.columns)

    def samples(self, outputs: Tensor, batch: Batch, count: int) -> Tensor:
        """Draw values (S, B, F, C) in the units of the data, each by itself, from torch's global generator."""
        drawn_SBFC = self.distribution_of(outputs, batch).sample((count,))
        return drawn_SBFC if self.counts else torch.stack([self.series.decoded(own, batch) for own in drawn_SBFC])

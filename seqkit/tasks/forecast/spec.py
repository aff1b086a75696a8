"""Forecasting: the series, and the prediction of its next rows."""

# B batch, F steps of the forecast (horizon), C target columns, Q quantiles

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.spec import Baseline, DataSpec, Metric, Results
from seqkit.inputs.frames.scaling import window_mean_and_scale
from seqkit.registry import register_task
from seqkit.tasks.forecast.prediction import SeriesPrediction


@register_task("forecast")
@dataclass(frozen=True)
class Series:
    """The next ``horizon`` rows of the named quantities.

    Attributes:
        horizon: Rows to predict.
        names: Of the targets.
        mean: Of the training split, one per name, in the units of the data.
        scale: Standard deviation of the training split, likewise.
        lookback: Rows read before the first predicted one; None where that varies.
        season: Rows of one period of the seasonal baseline, None where there is none.
        window: Input column of each target whose mean and deviation over the window scale it; none where the training
            split's do.
    """

    head: ClassVar[str] = "forecast"
    horizon: int
    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    lookback: int | None = None
    season: int | None = None
    window: tuple[int, ...] = ()

    def columns(self, spec: DataSpec) -> list[int] | None:
        """Return the column of each target among the inputs; None where one is not among them."""
        names = getattr(spec.inputs, "names", ())
        return [names.index(name) for name in self.names] if set(self.names) <= set(names) else None

    def scaled(self, values: Tensor, batch: Batch) -> Tensor:
        """Return values (B, F, C, ...) in the units of the data as deviations from the mean."""
        mean, scale = self._mean_and_scale(values, batch)
        return (values - mean) / scale

    def in_units(self, deviations: Tensor, batch: Batch) -> Tensor:
        """Return the values, in float64 and the units of the data, of deviations (B, F, C, ...)."""
        deviations = deviations.double()
        mean, scale = self._mean_and_scale(deviations, batch)
        return deviations * scale + mean

    def _mean_and_scale(self, values: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and scale of each target, to be broadcast to values (B, F, C, ...)."""
        shape = (1, 1, -1, *[1] * (values.dim() - 3))
        if self.window:
            past_BTC = batch.inputs[:, :, list(self.window)]
            usual_C = torch.tensor(self.scale, dtype=past_BTC.dtype, device=past_BTC.device)
            found = window_mean_and_scale(past_BTC, batch.lengths, usual_C)
            mean, scale = (part_BC.to(values.dtype).view(len(batch), *shape[1:]) for part_BC in found)
            return mean, scale

        def constant(numbers: tuple[float, ...]) -> Tensor:
            # From page-locked memory, so that a GPU is not waited for.
            made = torch.tensor(numbers, dtype=values.dtype, pin_memory=values.is_cuda)
            return made.to(values.device, non_blocking=True).view(shape)

        return constant(self.mean), constant(self.scale)

    def metrics(self, spec: DataSpec) -> Metric:
        from seqkit.tasks.forecast.metrics import ForecastMetrics  # torchmetrics is slow to import

        return ForecastMetrics(self.names, self.scale)

    def baselines(self, spec: DataSpec, data: Any, split: Split) -> dict[str, Baseline]:
        from seqkit.tasks.forecast.baselines import baselines

        season = self.season if self.season and self.lookback and self.season <= self.lookback else None
        return baselines(self.horizon, self.mean, self.columns(spec), season)

    def figures(self, results: Results) -> dict[str, Any]:
        from seqkit.tasks.forecast.figures import forecasts

        inputs = getattr(results.spec.inputs, "names", ())
        return {"forecast": forecasts(results.batch, results.prediction, inputs, self.names)}

    def answers(self, prediction: SeriesPrediction, spec: DataSpec) -> list[dict[str, Any]]:
        """Return for each row the names of the targets and their values (F, C), with the quantiles (F, C, Q) if any."""
        rows: list[dict[str, Any]] = [
            {"names": list(self.names), "values": values_FC} for values_FC in prediction.values_BFC.tolist()
        ]
        if prediction.quantiles_BFCQ is not None:
            for row, quantiles_FCQ in zip(rows, prediction.quantiles_BFCQ.tolist(), strict=True):
                row |= {"levels": list(prediction.levels), "quantiles": quantiles_FCQ}
        return rows

    def rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row per step: its number from 1, the value of each target, and its quantiles if there are any."""
        rows: list[dict[str, Any]] = []
        for step, values_C in enumerate(answer["values"]):
            row = {"step": step + 1, **dict(zip(answer["names"], values_C, strict=True))}
            if "quantiles" in answer:
                for name, values_Q in zip(answer["names"], answer["quantiles"][step], strict=True):
                    levels = (f"{name}_q{level:g}" for level in answer["levels"])
                    row |= dict(zip(levels, values_Q, strict=True))
            rows.append(row)
        return rows

    def future(self, answers: Sequence[dict[str, Any]], spec: DataSpec) -> dict[str, list[Any]]:
        """Return the forecasts of rows to come as the columns of one table, one row per series and step."""
        from seqkit.tasks.forecast.future import table

        return table(answers, getattr(spec.inputs, "series", None), getattr(spec.inputs, "time_column", None))

    def future_figure(self, answers: Sequence[dict[str, Any]], pasts: Sequence[Tensor], spec: DataSpec) -> Any:
        """Draw the forecasts of rows to come after the rows (T, I) that each was made from."""
        from seqkit.tasks.forecast.future import figure

        return figure(answers, pasts, getattr(spec.inputs, "names", ()))

    def text(self, answer: dict[str, Any]) -> str:
        """Return a table of one line per step."""
        rows = [["step", *answer["names"]]]
        rows += [[str(step), *(f"{v:.6g}" for v in row)] for step, row in enumerate(answer["values"], 1)]
        return "\n".join(["", *("  ".join(cell.rjust(10) for cell in row) for row in rows)])

"""Forecasting: the series, and the prediction of its next rows."""

# B batch, F steps of the forecast (horizon), C target columns, Q quantiles

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from seqkit.contracts.batch import Split
from seqkit.contracts.spec import Baseline, DataSpec, Metric, Results
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
    """

    head: ClassVar[str] = "forecast"
    horizon: int
    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    lookback: int | None = None
    season: int | None = None

    def columns(self, spec: DataSpec) -> list[int] | None:
        """Return the column of each target among the inputs; None where one is not among them."""
        names = getattr(spec.inputs, "names", ())
        return [names.index(name) for name in self.names] if set(self.names) <= set(names) else None

    def in_units(self, deviations: Tensor) -> Tensor:
        """Return the values, in float64 and the units of the data, of deviations (..., C) from the training mean."""
        deviations = deviations.double()
        return deviations * deviations.new_tensor(self.scale) + deviations.new_tensor(self.mean)

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
            for name, values_Q in zip(answer["names"], answer.get("quantiles", {step: ()})[step], strict=False):
                row |= {f"{name}_q{level:g}": value for level, value in zip(answer["levels"], values_Q, strict=True)}
            rows.append(row)
        return rows

    def text(self, answer: dict[str, Any]) -> str:
        """Return a table of one line per step."""
        rows = [["step", *answer["names"]]]
        rows += [[str(step), *(f"{v:.6g}" for v in row)] for step, row in enumerate(answer["values"], 1)]
        return "\n".join(["", *("  ".join(cell.rjust(10) for cell in row) for row in rows)])

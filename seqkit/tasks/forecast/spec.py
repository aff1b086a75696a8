"""Forecasting: the series, and the prediction of its next rows."""

# B batch, F steps of the forecast (horizon), C target columns, Q quantiles

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from logging import getLogger
from math import ceil
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.spec import Baseline, DataSpec, Metric, Predictor, Results
from seqkit.inputs.frames.scaling import Transform, transformed, window_mean_and_scale
from seqkit.padding import last_valid
from seqkit.registry import register_task
from seqkit.tasks.forecast.prediction import SeriesPrediction, interval_ends

LOG = getLogger("seqkit")


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
        naive: Mean absolute and root mean squared error of the seasonal naive forecast over the training split, a pair
            per name, which MASE and RMSSE divide by; empty where unknown. See ``facts.naive_errors``.
        counts: Whether each target holds whole numbers from 0 only; empty where unknown.
        window: Input column of each target whose mean and deviation over the window scale it; none where the training
            split's do.
        read: Input column of each target; empty where that is not needed.
        own: Input columns that hold mean and scale of each target in its series; none where these do not scale it.
        transform: What a head learns of a target, scaled: the value itself, its logarithm, or its difference from the
            row before.
        transformed: Mean and scale over the training split of what that is, a pair per name; none if it is the value.
        members: Names of the series, where there are several; a batch says by ``extras["series"]`` which of them each
            row is of, and by ``extras["naive"]`` (B, C, 2) what ``naive`` says of one.
        levels: Of the quantiles that the forecast is corrected to have, after a training.
        shifts: Correction (F, C, Q) of each quantile, in deviations of the window; see ``conformal``. No property of
            the data, so that it takes no part in a comparison.
        stride: Rows between neighbouring windows of validation and test part.
        rate: Of the levels' adaptation over time; 0 leaves them as they are. See ``adaptive``.
    """

    head: ClassVar[str] = "forecast"
    horizon: int
    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    lookback: int | None = None
    season: int | None = None
    naive: tuple[tuple[float, float], ...] = ()
    counts: tuple[bool, ...] = ()
    window: tuple[int, ...] = ()
    read: tuple[int, ...] = ()
    own: tuple[tuple[int, int], ...] = ()
    transform: Transform = "none"
    transformed: tuple[tuple[float, float], ...] = ()
    members: tuple[str, ...] = field(default=(), compare=False)
    levels: tuple[float, ...] = field(default=(), compare=False)
    shifts: tuple[tuple[tuple[float, ...], ...], ...] = field(default=(), compare=False)
    stride: int = field(default=1, compare=False)
    rate: float = field(default=0.0, compare=False)

    def columns(self, spec: DataSpec) -> list[int] | None:
        """Return the column of each target among the inputs; None where one is not among them."""
        names = getattr(spec.inputs, "names", ())
        return [names.index(name) for name in self.names] if set(self.names) <= set(names) else None

    @property
    def examples(self) -> int:
        """Samples that figures show: of a single step a cloud of them."""
        return 400 if self.horizon == 1 else 4

    @property
    def unscaling(self) -> str:
        """How a value is had from a deviation, for the description of an exported file."""
        if self.window:
            learned = "output * deviation + mean of the window's valid rows of the column"
        elif self.own:
            learned = "output * scale + mean, which are columns of the input"
        elif self.transformed:
            learned = "output * scale + mean, which are in spec.task.transformed"
        else:
            learned = "output * spec.task.scale + spec.task.mean"
        if self.transform == "log":
            return f"value = exp({learned})"
        if self.transform == "difference":
            return f"value = the last row read + the sum up to the step of {learned}"
        return f"value = {learned}"

    def scaled(self, values: Tensor, batch: Batch) -> Tensor:
        """Return values (B, F, C, ...) in the units of the data as deviations from the mean."""
        mean, scale = self._mean_and_scale(values, batch)
        return (values - mean) / scale

    def in_units(self, deviations: Tensor, batch: Batch) -> Tensor:
        """Return the values, in float64 and the units of the data, of deviations (B, F, C, ...)."""
        deviations = deviations.double()
        mean, scale = self._mean_and_scale(deviations, batch)
        return deviations * scale + mean

    def encoded(self, values: Tensor, batch: Batch) -> Tensor:
        """Return values (B, F, C) in the units of the data as what a head learns: transformed, as deviations."""
        if self.transform == "none":
            return self.scaled(values, batch)
        mean, scale = self._mean_and_scale(values, batch, self.transform)
        if self.transform == "difference":
            values = torch.cat((self._last(values, batch), values), 1).diff(dim=1)
        else:
            values = transformed(values, self.transform)
        return (values - mean) / scale

    def decoded(self, deviations: Tensor, batch: Batch) -> Tensor:
        """Return the values, in float64 and the units of the data, of what a head gives (B, F, C, ...)."""
        if self.transform == "none":
            return self.in_units(deviations, batch)
        deviations = deviations.double()
        mean, scale = self._mean_and_scale(deviations, batch, self.transform)
        learned = deviations * scale + mean
        return learned.exp() if self.transform == "log" else self._last(learned, batch) + learned.cumsum(1)

    def _last(self, like: Tensor, batch: Batch) -> Tensor:
        """Return the last row read of each target (B, 1, C)."""
        return last_valid(batch.inputs, batch.lengths)[:, None, list(self.read)].to(like.dtype)

    def _mean_and_scale(self, values: Tensor, batch: Batch, how: Transform = "none") -> tuple[Tensor, Tensor]:
        """Return mean and scale of each target, or of what it is transformed to, to be broadcast to (B, F, C, ...)."""
        shape = (1, 1, -1, *[1] * (values.dim() - 3))
        if self.window:
            past_BTC = transformed(batch.inputs[:, :, list(self.window)], how)
            usual = [scale for _, scale in self.transformed] if how != "none" else self.scale
            usual_C = torch.tensor(usual, dtype=past_BTC.dtype, device=past_BTC.device)
            found = window_mean_and_scale(past_BTC, batch.lengths, usual_C, how)
            mean, scale = (part_BC.to(values.dtype).view(len(batch), *shape[1:]) for part_BC in found)
            return mean, scale

        if self.own:
            own_BC2 = batch.inputs[:, 0, torch.tensor(self.own, device=batch.inputs.device)]
            mean, scale = (part_BC.to(values.dtype).view(len(batch), *shape[1:]) for part_BC in own_BC2.unbind(-1))
            return mean, scale

        def constant(numbers: tuple[float, ...]) -> Tensor:
            # From page-locked memory, so that a GPU is not waited for.
            made = torch.tensor(numbers, dtype=values.dtype, pin_memory=values.is_cuda)
            return made.to(values.device, non_blocking=True).view(shape)

        if how != "none":
            mean_C, scale_C = zip(*self.transformed, strict=True)
            return constant(mean_C), constant(scale_C)
        return constant(self.mean), constant(self.scale)

    def calibrated(self, spec: DataSpec, data: Any, predict: Predictor, adaptive: float = False) -> "Series":
        """Return the series with the correction of the quantiles that the validation part asks for.

        Args:
            spec: Of the data.
            data: Set up.
            predict: The network's prediction for a batch.
            adaptive: Rate of adaptation over time; True chooses it by the validation part.
        """
        from seqkit.tasks.forecast.conformal import chosen_rate, residual_quantiles

        levels, shifts_FCQ = residual_quantiles(predict, self, self.columns(spec), data)
        ends, windows = interval_ends(levels), len(data.part("valid"))
        if ends and windows < (needed := ceil(1 / levels[ends[0]] - 1e-9) - 1):
            LOG.warning(
                "the validation part has %d windows; an interval of %.0f %% needs %d or more, and is too narrow with "
                "fewer: give it more rows (data.split), or a smaller data.eval_stride or data.horizon",
                windows, 100 * (levels[ends[1]] - levels[ends[0]]), needed,
            )  # fmt: skip
        shifts = tuple(tuple(tuple(row) for row in step) for step in shifts_FCQ.tolist())
        rate = adaptive if adaptive is not True else chosen_rate(predict, self, self.columns(spec), data, self.stride)
        return replace(self, levels=levels, shifts=shifts, rate=float(rate))

    def over_time(self, spec: DataSpec) -> Any:
        """Return what adapts one prediction after another, in the order of time; None where nothing does.

        Args:
            spec: Of the data that are predicted, of which the windows may have another stride.
        """
        from seqkit.tasks.forecast.adaptive import Adaptive

        if not (self.rate and self.shifts):
            return None
        return Adaptive(self.rate, self.levels, ceil(self.horizon / spec.task.stride))

    def corrected(self, prediction: SeriesPrediction, batch: Batch, columns: Sequence[int] | None) -> SeriesPrediction:
        """Return the prediction with calibrated quantiles, where the series has been calibrated; as it is otherwise.

        Args:
            prediction: For the batch.
            batch: Of which the inputs are read.
            columns: See ``columns``.
        """
        if not self.shifts:
            return prediction
        from seqkit.tasks.forecast.conformal import shifted

        shifts_FCQ = prediction.values_BFC.new_tensor(self.shifts, dtype=torch.float64)
        return shifted(prediction, self, columns, batch, self.levels, shifts_FCQ)

    def metrics(self, spec: DataSpec) -> Metric:
        from seqkit.tasks.forecast.metrics import ForecastMetrics  # torchmetrics is slow to import

        return ForecastMetrics(self)

    def tables(self, metric: Any) -> dict[str, dict[str, list[Any]]]:
        """Return the errors of each series and target, where there are several."""
        return {"errors": metric.errors()} if len(self.names) * max(1, len(self.members)) > 1 else {}

    def baselines(self, spec: DataSpec, data: Any, split: Split) -> dict[str, Baseline]:
        from seqkit.tasks.forecast.baselines import baselines

        return baselines(self, self.columns(spec), data)

    def figures(self, results: Results) -> dict[str, Any]:
        from seqkit.tasks.forecast.figures import forecasts, scatter

        if self.horizon == 1:
            return {"forecast": scatter(results.batch, results.prediction, self.names)}
        inputs = getattr(results.spec.inputs, "names", ())
        return {"forecast": forecasts(results.batch, results.prediction, inputs, self.names, self.season)}

    def answers(self, prediction: SeriesPrediction, spec: DataSpec) -> list[dict[str, Any]]:
        """Return for each row the names of the targets and their values (F, C), with the quantiles (F, C, Q) if any."""
        rows: list[dict[str, Any]] = [
            {"names": list(self.names), "values": values_FC} for values_FC in prediction.values_BFC.tolist()
        ]
        if prediction.quantiles_BFCQ is not None:
            for row, quantiles_FCQ in zip(rows, prediction.quantiles_BFCQ.tolist(), strict=True):
                row |= {"levels": list(prediction.levels), "quantiles": quantiles_FCQ}
        return rows

    def joined(self, answers: Sequence[dict[str, Any]], count: int) -> dict[str, Any]:
        """Return the first ``count`` steps of answers that follow each other; of several without quantiles.

        What is known of the spread is known of the trained horizon only.
        """
        joined = {**answers[0], "values": [row for answer in answers for row in answer["values"]][:count]}
        if len(answers) > 1:
            return {name: value for name, value in joined.items() if name not in ("levels", "quantiles")}
        return joined | {name: joined[name][:count] for name in ("quantiles",) if name in joined}

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

    def future(self, answers: Sequence[dict[str, Any]], spec: DataSpec, brief: bool = False) -> dict[str, list[Any]]:
        """Return the forecasts of rows to come as the columns of one table, one row per series and step.

        Of quantiles a brief one has only the ends of the interval.
        """
        from seqkit.tasks.forecast.future import table

        kept = (interval_ends(answers[0].get("levels", ())) or ()) if brief else None
        return table(answers, getattr(spec.inputs, "series", None), getattr(spec.inputs, "time_column", None), kept)

    def future_figure(self, answers: Sequence[dict[str, Any]], pasts: Sequence[Tensor], spec: DataSpec) -> Any:
        """Draw the forecasts of rows to come after the rows (T, I) that each was made from."""
        from seqkit.tasks.forecast.future import figure

        ends = interval_ends(answers[0].get("levels", ()))
        return figure(answers, pasts, getattr(spec.inputs, "names", ()), ends)

    def best(self, metric: str, scores: Mapping[str, float]) -> str | None:
        """Return whose score is the best: the lowest, of a coverage the nearest; None where it has no direction."""
        kind, _, share = metric.partition("_")
        if kind == "width":
            return None
        return min(
            scores, key=lambda name: abs(scores[name] - float(share) / 100) if kind == "coverage" else scores[name]
        )

    def backtest_figure(self, folds: Sequence[Any], spec: DataSpec, baseline: str | None) -> Any:
        """Draw the truth, the forecasts from each origin and a baseline's; see ``seqkit.sweeping.backtest.Fold``."""
        from seqkit.tasks.forecast.figures import backtest

        return backtest(folds, getattr(spec.inputs, "names", ()), self.names, baseline)

    def text(self, answer: dict[str, Any]) -> str:
        """Return a table of one line per step: each target, and the ends of its interval where there is one."""
        names = answer["names"]
        header, ends = ["step", *names], interval_ends(answer.get("levels", ()))
        if ends:
            low, high = (f"{100 * answer['levels'][end]:g}%" for end in ends)
            header = ["step", *(title for name in names for title in (name, low, high))]
        rows = [header]
        for step, values in enumerate(answer["values"]):
            cells = [[value] for value in values]
            if ends:
                quantiles_CQ = answer["quantiles"][step]
                cells = [[value, *(own[end] for end in ends)] for value, own in zip(values, quantiles_CQ, strict=True)]
            rows.append([str(step + 1), *(f"{number:.6g}" for cell in cells for number in cell)])
        return "\n".join(["", *("  ".join(cell.rjust(10) for cell in row) for row in rows)])

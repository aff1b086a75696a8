"""Metrics of forecasting, from sums of errors."""

# B batch, F steps of the forecast (horizon), C target columns, Q quantiles

from bisect import bisect_left
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from seqkit.contracts.batch import Batch
from seqkit.tasks.forecast.prediction import SeriesPrediction, interval_ends

NAMED = 8
"""Targets up to which each has an error of its own among the scores."""
SUMS = ("relative", "relative_squares", "percent", "pinball", "crps", "inside", "width")
COUNTS = ("count", "compared", "values")
EACH = ("steps", "compared", "mae", "mse", "smape", "mase", "rmsse")
"""Sums of each series and target: steps, those with a unit of MASE, and what errors of these names are means of."""


class ForecastMetrics(Metric):
    """Errors of a forecast and, where it has quantiles, how good these are.

    Args:
        series: The task, a ``Series``, whose module imports this one.
    """

    full_state_update = False
    squares_C: Tensor
    absolutes_C: Tensor
    raw_squares_C: Tensor
    raw_absolutes_C: Tensor
    relative: Tensor
    relative_squares: Tensor
    percent: Tensor
    pinball: Tensor
    crps: Tensor
    inside: Tensor
    width: Tensor
    count: Tensor
    compared: Tensor
    values: Tensor
    mass: Tensor
    each_SCE: Tensor

    def __init__(self, series: Any) -> None:
        super().__init__()
        self.series = series
        zeros_C = torch.zeros(len(series.names), dtype=torch.float64)
        for name in ("squares_C", "absolutes_C", "raw_squares_C", "raw_absolutes_C"):
            self.add_state(name, zeros_C.clone(), dist_reduce_fx="sum")
        each_SCE = torch.zeros(max(1, len(series.members)), len(series.names), len(EACH), dtype=torch.float64)
        self.add_state("each_SCE", each_SCE, dist_reduce_fx="sum")
        for name in SUMS:
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        for name in COUNTS:
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("mass", torch.zeros((), dtype=torch.float64), dist_reduce_fx="max")

    def update(self, prediction: SeriesPrediction, batch: Batch) -> None:
        """Add the errors of a batch."""
        assert batch.targets is not None
        targets_BFC, values_BFC = batch.targets.double(), prediction.values_BFC.double()
        scaled_BFC = self.series.scaled(targets_BFC, batch)
        error_BFC = self.series.scaled(values_BFC, batch) - scaled_BFC
        raw_BFC = values_BFC - targets_BFC
        self.squares_C += error_BFC.square().sum((0, 1))
        self.absolutes_C += error_BFC.abs().sum((0, 1))
        self.raw_squares_C += raw_BFC.square().sum((0, 1))
        self.raw_absolutes_C += raw_BFC.abs().sum((0, 1))
        self.count += error_BFC.shape[0] * error_BFC.shape[1]
        size_BFC = values_BFC.abs() + targets_BFC.abs()
        percent_BFC = (200 * raw_BFC.abs() / size_BFC).nan_to_num(0)
        self.percent += percent_BFC.sum()
        absolute_BFC, square_BFC = (unit.expand_as(raw_BFC) for unit in self._naive(raw_BFC, batch))
        known_BFC = absolute_BFC > 0  # a column that the seasonal naive forecast predicts without error has no unit
        relative_BFC = torch.where(known_BFC, raw_BFC.abs() / absolute_BFC, 0)
        relative_squares_BFC = torch.where(known_BFC, (raw_BFC / square_BFC).square(), 0)
        self.relative += relative_BFC.sum()
        self.relative_squares += relative_squares_BFC.sum()
        self.compared += known_BFC.sum()
        sums = (
            torch.ones_like(raw_BFC),
            known_BFC.double(),
            raw_BFC.abs(),
            raw_BFC.square(),
            percent_BFC,
            relative_BFC,
            relative_squares_BFC,
        )
        each_BCE = torch.stack([part_BFC.sum(1) for part_BFC in sums], -1)
        self.each_SCE.index_add_(0, self._members(batch), each_BCE)
        if prediction.quantiles_BFCQ is not None:
            quantiles_BFCQ = self.series.scaled(prediction.quantiles_BFCQ.double(), batch)
            self._add_quantiles(quantiles_BFCQ, prediction.levels, scaled_BFC)

    def errors(self) -> dict[str, list[Any]]:
        """Return the errors of each series and target, in the units of the data where they have one, as columns."""
        members, names = self.series.members, self.series.names
        steps_SC, compared_SC, mae_SC, mse_SC, smape_SC, mase_SC, rmsse_SC = self.each_SCE.cpu().unbind(-1)
        scores = {"mae": mae_SC / steps_SC, "rmse": (mse_SC / steps_SC).sqrt(), "smape": smape_SC / steps_SC}
        scores |= {"mase": mase_SC / compared_SC, "rmsse": (rmsse_SC / compared_SC).sqrt()}
        scored = [(series, name) for series in range(len(steps_SC)) for name in range(len(names))]
        scored = [place for place in scored if steps_SC[place] > 0]
        columns: dict[str, list[Any]] = {"series": [members[series] for series, _ in scored]} if members else {}
        columns |= {"target": [names[name] for _, name in scored], "steps": [int(steps_SC[place]) for place in scored]}
        return columns | {score: [float(values_SC[place]) for place in scored] for score, values_SC in scores.items()}

    def _naive(self, like_BFC: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the units of MASE and RMSSE, to be broadcast to ``like_BFC``; zero where they are not known."""
        naive = batch.extras.get("naive")
        if naive is None:
            naive = like_BFC.new_tensor(self.series.naive or ((0.0, 0.0),) * len(self.series.names))[None]
        absolute_BC, square_BC = naive.to(like_BFC).nan_to_num(0).unbind(-1)
        return absolute_BC[:, None], square_BC[:, None]

    def _members(self, batch: Batch) -> Tensor:
        """Return which series each row of a batch is of (B,)."""
        series = batch.extras.get("series")
        if series is None or not self.series.members:
            return torch.zeros(len(batch), dtype=torch.int64, device=self.each_SCE.device)
        return series.to(self.each_SCE.device)

    def _add_quantiles(self, quantiles_BFCQ: Tensor, levels: tuple[float, ...], targets_BFC: Tensor) -> None:
        self.values += targets_BFC.numel()
        self.crps += _crps(quantiles_BFCQ, levels, targets_BFC)
        ends = interval_ends(levels)
        if ends is None:
            return
        low_BFC, high_BFC = (quantiles_BFCQ[..., end] for end in ends)
        self.mass = torch.maximum(self.mass, self.mass.new_tensor(levels[ends[1]] - levels[ends[0]]))
        self.inside += ((low_BFC <= targets_BFC) & (targets_BFC <= high_BFC)).sum()
        self.width += (high_BFC - low_BFC).sum()
        for level in (levels[ends[0]], 0.5, levels[ends[1]]):
            self.pinball += _pinball(quantiles_BFCQ, levels, targets_BFC, level) / 3

    def compute(self) -> dict[str, Tensor]:
        """Return the scores by name, each a mean over windows, steps and targets.

        ``mse``, ``mae`` and ``rmse`` are those of scaled values, and so are the scores of quantiles: ``pinball`` (mean
        pinball loss at the ends of the interval and the median), ``crps`` (continuous ranked probability score of the
        distribution that interpolates between the quantiles, its tails cut off at the outermost ones), and
        ``coverage_90`` and ``width_90`` of the 90 % interval (another number where there is no such one). ``smape`` is
        in per cent; ``mase`` and ``rmsse`` are relative to the seasonal naive forecast of the training split. In the
        units of the data, where these differ: ``mse_raw`` and ``mae_raw`` of a single target, ``mae_raw_NAME`` of each
        of a few.
        """
        total = self.count * len(self.series.names)
        mse, mae = self.squares_C.sum() / total, self.absolutes_C.sum() / total
        scores = {"mse": mse, "mae": mae}
        raw_C = self.raw_absolutes_C / self.count
        plain = all(scale == 1 for scale in self.series.scale)
        if not plain and len(raw_C) == 1:
            scores |= {"mse_raw": self.raw_squares_C[0] / self.count, "mae_raw": raw_C[0]}
        scores |= {"rmse": mse.sqrt(), "smape": self.percent / total}
        if self.compared:
            rmsse = (self.relative_squares / self.compared).sqrt()
            scores |= {"mase": self.relative / self.compared, "rmsse": rmsse}
        if self.values:
            scores["crps"] = self.crps / self.values
        if self.mass > 0:
            share = f"{100 * float(self.mass):.3g}"
            scores["pinball"] = self.pinball / self.values
            scores |= {f"coverage_{share}": self.inside / self.values, f"width_{share}": self.width / self.values}
        if not plain and 1 < len(raw_C) <= NAMED:
            scores |= {f"mae_raw_{name}": raw_C[target] for target, name in enumerate(self.series.names)}
        return scores


def _crps(quantiles_BFCQ: Tensor, levels: tuple[float, ...], targets_BFC: Tensor) -> Tensor:
    """Return the summed integral of (F(x) - [x >= target])^2 over x, where F interpolates between the quantiles.

    F jumps from 0 at the lowest quantile, and to 1 at the highest.
    """
    quantiles = quantiles_BFCQ.unbind(-1)
    beyond_BFC = (quantiles[0] - targets_BFC).clamp(min=0) + (targets_BFC - quantiles[-1]).clamp(min=0)
    total = beyond_BFC.sum()
    for start, end, low, high in zip(quantiles, quantiles[1:], levels, levels[1:], strict=False):
        below_BFC = torch.minimum(torch.maximum(targets_BFC, start), end) - start
        above_BFC = end - start - below_BFC
        level_BFC = low + (high - low) * (below_BFC / (end - start)).nan_to_num(0)
        total = total + (below_BFC * (low**2 + low * level_BFC + level_BFC**2)).sum() / 3
        rest_BFC, rest = 1 - level_BFC, 1 - high
        total = total + (above_BFC * (rest_BFC**2 + rest_BFC * rest + rest**2)).sum() / 3
    return total


def _pinball(quantiles_BFCQ: Tensor, levels: tuple[float, ...], targets_BFC: Tensor, level: float) -> Tensor:
    """Return the summed pinball loss (Koenker and Bassett 1978) of one level, interpolated between those there are."""
    above = bisect_left(levels, level)
    high, low = min(above, len(levels) - 1), max(above - 1, 0)
    quantile_BFC = quantiles_BFCQ[..., high]
    if low < high:
        share = (level - levels[low]) / (levels[high] - levels[low])
        quantile_BFC = torch.lerp(quantiles_BFCQ[..., low], quantile_BFC, share)
    error_BFC = targets_BFC - quantile_BFC
    return torch.maximum(level * error_BFC, (level - 1) * error_BFC).sum()

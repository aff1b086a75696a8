"""Split-conformal calibration: quantiles of a forecast, corrected by its residuals over the validation part.

Each quantile is shifted, per step and target, by the quantile of the same level of what it left over: for a forecast
without quantiles that is split conformal prediction with signed residuals (Vovk et al. 2005), for one with quantiles
conformalised quantile regression (Romano, Patterson and Candes 2019, theorem 2, each end by itself). What is left over
is measured in deviations of the window that was read (locally weighted: Lei et al. 2018), since a series is calm at one
time and restless at another. Where validation and test are exchangeable, 90 % intervals cover 90 % or more; the windows
of a series are so only roughly.
"""

# N windows, B batch, T time, F steps of the forecast (horizon), C target columns, Q quantiles

from collections.abc import Iterator, Sequence
from math import ceil, floor
from typing import Any, Protocol

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.spec import Predictor
from seqkit.padding import valid
from seqkit.tasks.forecast.adaptive import RATES, Adaptive
from seqkit.tasks.forecast.prediction import SeriesPrediction, interval_ends

LEVELS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99)
"""Of the quantiles that a forecast without its own is given."""
CALM = 0.01
"""Deviation of a window, over that of the training part, that is counted at least."""
RESIDUALS = 2**25
"""Held at once, at most: of more windows as many are taken, spread evenly over the part."""


class Scaling(Protocol):
    """What a ``Series`` does to values."""

    def scaled(self, values: Tensor, batch: Batch) -> Tensor: ...

    def in_units(self, deviations: Tensor, batch: Batch) -> Tensor: ...


def residual_quantiles(
    predict: Predictor,
    scaling: Scaling,
    columns: Sequence[int] | None,
    data: Any,
    levels: tuple[float, ...] = LEVELS,
) -> tuple[tuple[float, ...], Tensor]:
    """Return levels, and the shift (F, C, Q) of each quantile in deviations of the window.

    Args:
        predict: Of the forecast that is calibrated.
        scaling: Of the series.
        columns: Column of each target among the inputs; without, deviations are those of the training part.
        data: Set up; its validation part is read.
        levels: Of a forecast that has no quantiles of its own.
    """
    levels, found = _calibrating(predict, scaling, columns, data, levels)
    residuals = [
        ((targets_BFC[..., None] - base_BFCQ) / deviations_B1C1).float()
        for _, base_BFCQ, targets_BFC, deviations_B1C1 in found
    ]
    return levels, conformal_quantiles(torch.cat(residuals), levels)


def chosen_rate(
    predict: Predictor,
    scaling: Scaling,
    columns: Sequence[int] | None,
    data: Any,
    stride: int = 1,
    levels: tuple[float, ...] = LEVELS,
) -> float:
    """Return the rate of ``adaptive.RATES`` that the validation part asks for; see ``best_rate``.

    Args:
        predict: Of the forecast that is calibrated.
        scaling: Of the series.
        columns: As of ``residual_quantiles``.
        data: Likewise.
        stride: Rows between its windows.
        levels: Likewise.
    """
    seen: list[tuple[Tensor, ...]] = []
    levels, found = _calibrating(predict, scaling, columns, data, levels)
    for batch, base_BFCQ, targets_BFC, deviations_B1C1 in found:
        series_B = batch.extras.get("series", torch.zeros(len(batch), dtype=torch.int64))
        parts = (base_BFCQ, targets_BFC, deviations_B1C1.expand(len(batch), -1, -1, -1))
        seen.append((*(part.float() for part in parts), series_B))
    base_NFCQ, targets_NFC, deviations_N1C1, series_N = (torch.cat(parts) for parts in zip(*seen, strict=True))
    apart = stride * max(1, len(data.part("valid")) / len(series_N))  # of which some may have been left out
    delay = ceil(targets_NFC.shape[1] / apart)
    return best_rate(levels, base_NFCQ, targets_NFC, deviations_N1C1, series_N, delay)


def _calibrating(
    predict: Predictor, scaling: Scaling, columns: Sequence[int] | None, data: Any, levels: tuple[float, ...]
) -> tuple[tuple[float, ...], Iterator[tuple[Batch, Tensor, Tensor, Tensor]]]:
    """Return the levels of a forecast, and what it is calibrated by, batch after batch of the validation part in order.

    With each batch come the quantiles before their correction, or values if Q is 1, (B, F, C, Q) and the truth
    (B, F, C), both scaled, and the deviations (B, 1, C, 1) that the correction is measured in.
    """
    first = predict(next(spread(data, "valid", 1)))
    own = first.quantiles_BFCQ
    numbers = first.values_BFC.numel() if own is None else own.numel()

    def found() -> Iterator[tuple[Batch, Tensor, Tensor, Tensor]]:
        for batch in spread(data, "valid", max(1, RESIDUALS // numbers)):
            prediction = predict(batch)
            assert batch.targets is not None
            base_BFCQ = prediction.values_BFC[..., None] if own is None else prediction.quantiles_BFCQ
            scaled = scaling.scaled(base_BFCQ, batch), scaling.scaled(batch.targets.double(), batch)
            yield batch, *scaled, window_deviations(scaling, columns, batch)

    return first.levels or levels, found()


def best_rate(
    levels: Sequence[float],
    base_NFCQ: Tensor,
    targets_NFC: Tensor,
    deviations_N1C1: Tensor,
    series_N: Tensor,
    delay: int,
) -> float:
    """Return the rate of adaptation with the lowest pinball loss at the ends of the interval; of several the smallest.

    The quantiles are corrected by the first half of the windows of each series and adapted over the second half.

    Args:
        levels: Of the quantiles.
        base_NFCQ: Quantiles before their correction, or values if Q is 1, of windows in the order of time.
        targets_NFC: Their truth.
        deviations_N1C1: Unit of the correction.
        series_N: Number of the series of each window.
        delay: As of ``Adaptive``.
    """
    places = [(series_N == series).nonzero()[:, 0] for series in series_N.unique()]
    half = torch.cat([own[: len(own) // 2] for own in places])
    if not len(half):
        return 0.0
    residuals_NFCQ = (targets_NFC[half][..., None] - base_NFCQ[half]) / deviations_N1C1[half]
    shifts_FCQ = conformal_quantiles(residuals_NFCQ, levels)
    scored = list(interval_ends(tuple(levels)) or range(len(levels)))
    levels_E = torch.tensor([levels[place] for place in scored], dtype=torch.float64)

    def loss(rate: float) -> float:
        adaptive, total = Adaptive(rate, levels, delay), 0.0
        for series, own in enumerate(places):
            # Windows in between share rows with those corrected by.
            for rows in own[len(own) // 2 + delay :].split(delay):
                quantiles_MFCQ = (base_NFCQ[rows] + shifts_FCQ * deviations_N1C1[rows]).double().sort(-1).values
                adapted_MFCQ = adaptive.walk(quantiles_MFCQ, targets_NFC[rows].double(), series)
                errors_MFCE = targets_NFC[rows][..., None] - adapted_MFCQ[..., scored]
                total += float(torch.maximum(levels_E * errors_MFCE, (levels_E - 1) * errors_MFCE).sum())
        return total

    return min(RATES, key=loss)


def conformal_quantiles(residuals_NFCQ: Tensor, levels: Sequence[float]) -> Tensor:
    """Return of each level its quantile (F, C, Q) over N residuals; Q is 1 where all levels share them.

    The rank counts one residual more than there are, the unknown one, and is rounded away from the middle; where that
    is beyond the outermost residual, it is the outermost.
    """
    count = len(residuals_NFCQ)
    sorted_NFCQ = residuals_NFCQ.sort(0).values
    last = sorted_NFCQ.shape[-1] - 1

    def rank(level: float) -> int:
        exact = round(level * (count + 1), 6)
        return min(max(ceil(exact) if level > 0.5 else floor(exact), 1), count)

    picked = [sorted_NFCQ[rank(level) - 1, :, :, min(place, last)] for place, level in enumerate(levels)]
    return torch.stack(picked, -1)


def window_deviations(scaling: Scaling, columns: Sequence[int] | None, batch: Batch) -> Tensor:
    """Return the standard deviation of each target over the rows read, over that of the training part, (B, 1, C, 1)."""
    if not columns:
        return torch.ones(1, 1, 1, 1, dtype=torch.float64, device=batch.inputs.device)
    past_BTC = scaling.scaled(batch.inputs[:, :, list(columns)].double(), batch)
    if batch.lengths is None:
        variance_BC = past_BTC.var(1, correction=0)
    else:
        valid_BT1 = valid(batch.lengths, past_BTC)[:, :, None]
        mean_B1C = (past_BTC * valid_BT1).sum(1, keepdim=True) / batch.lengths[:, None, None]
        variance_BC = ((past_BTC - mean_B1C).square() * valid_BT1).sum(1) / batch.lengths[:, None]
    return variance_BC.sqrt().clamp(min=CALM)[:, None, :, None]


def shifted(
    prediction: SeriesPrediction,
    scaling: Scaling,
    columns: Sequence[int] | None,
    batch: Batch,
    levels: tuple[float, ...],
    shifts_FCQ: Tensor,
) -> SeriesPrediction:
    """Return the prediction with its quantiles, or quantiles about its values, shifted and in rising order."""
    own = prediction.quantiles_BFCQ
    base_BFCQ = (prediction.values_BFC[..., None] if own is None else own).double()
    shifts_BFCQ = shifts_FCQ * window_deviations(scaling, columns, batch)
    quantiles_BFCQ = scaling.in_units(scaling.scaled(base_BFCQ, batch) + shifts_BFCQ, batch)
    if own is not None:  # one value with rising shifts is in order
        quantiles_BFCQ = quantiles_BFCQ.sort(-1).values
    return SeriesPrediction(prediction.values_BFC, quantiles_BFCQ, levels)


def spread(data: Any, split: Split, windows: int, size: int = 256) -> Iterator[Batch]:
    """Yield batches of at most so many samples of a split, spread evenly over it, in order."""
    part = data.part(split)
    count = min(windows, len(part))
    places = torch.linspace(0, len(part) - 1, count, dtype=torch.float64).round().int().tolist()
    for start in range(0, count, size):
        yield data.collate([part[place] for place in places[start : start + size]])

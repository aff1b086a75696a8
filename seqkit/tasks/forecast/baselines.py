"""Baselines of forecasting: last value, last season, drift, a linear map, training mean."""

# B batch, L look-back, F steps of the forecast (horizon), C target columns

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import Baseline
from seqkit.tasks.forecast.conformal import residual_quantiles, shifted, spread
from seqkit.tasks.forecast.prediction import SeriesPrediction

PAIRS = 100_000
"""Windows, times targets, that the linear map is fitted to at most."""
RIDGE = 1e-3
"""Penalty of the linear map, over the mean square of an input times the number of pairs."""

Forecast = Callable[[Batch], Tensor]
"""From a batch to values (B, F, C) in the units of the data."""


def baselines(series: Any, columns: Sequence[int] | None, data: Any) -> dict[str, Baseline]:
    """Return the baselines by name; where the series is calibrated, with quantiles of its levels.

    Args:
        series: The task, a ``Series``, whose module imports this one.
        columns: Column of each target among the inputs; None where one is not among them (only the mean is left).
        data: Set up; the linear map is fitted on its training part, the residuals are those of the validation part.
    """
    horizon, season = series.horizon, series.season
    found: dict[str, Forecast] = {}
    if columns is not None:
        found["repeat last"] = partial(last_rows, horizon=horizon, columns=columns, period=1)
        if series.lookback:
            if season and season <= series.lookback:
                name = f"seasonal naive (season {season})"
                found[name] = partial(last_rows, horizon=horizon, columns=columns, period=season)
            found["drift"] = partial(drift, horizon=horizon, columns=columns, lookback=series.lookback)
            found["linear"] = linear(series, columns, series.lookback, data)
    found["training mean"] = partial(training_mean, horizon=horizon, mean=series.mean)
    return {name: _with_quantiles(forecast, series, columns, data) for name, forecast in found.items()}


def _with_quantiles(forecast: Forecast, series: Any, columns: Sequence[int] | None, data: Any) -> Baseline:
    def point(batch: Batch) -> SeriesPrediction:
        return SeriesPrediction(forecast(batch))

    @cache  # at the first batch, so that one that fails is left out alone
    def residuals() -> tuple[tuple[float, ...], Tensor]:
        return residual_quantiles(point, series, columns, data, series.levels)

    adaptive = series.over_time(data.spec) if series.rate else None

    def corrected(batch: Batch) -> SeriesPrediction:
        prediction = shifted(point(batch), series, columns, batch, *residuals())
        return adaptive(prediction, batch) if adaptive else prediction

    return corrected if series.shifts else point


def recent(batch: Batch, columns: Sequence[int], rows: int) -> Tensor:
    """Return the last rows of some columns, (B, rows, C); a window that is shorter starts with its first row again."""
    ends_B1 = torch.full((len(batch), 1), batch.inputs.shape[1]) if batch.lengths is None else batch.lengths[:, None]
    rows_BL = (ends_B1 + torch.arange(-rows, 0)).clamp(min=0)
    return batch.inputs[torch.arange(len(batch))[:, None], rows_BL][:, :, list(columns)].double()


def last_rows(batch: Batch, horizon: int, columns: Sequence[int], period: int) -> Tensor:
    """Repeat the last ``period`` rows of each window over the horizon."""
    return recent(batch, columns, period)[:, torch.arange(horizon) % period]


def drift(batch: Batch, horizon: int, columns: Sequence[int], lookback: int) -> Tensor:
    """Continue the line from the first row of each window to its last."""
    past_BLC = recent(batch, columns, lookback)
    slope_B1C = (past_BLC[:, -1:] - past_BLC[:, :1]) / max(lookback - 1, 1)
    return past_BLC[:, -1:] + slope_B1C * torch.arange(1, horizon + 1)[:, None]


def training_mean(batch: Batch, horizon: int, mean: Sequence[float]) -> Tensor:
    """Predict the mean of the training split at every step."""
    return torch.tensor(mean, dtype=torch.float64).expand(len(batch), horizon, -1)


def linear(series: Any, columns: Sequence[int], lookback: int, data: Any) -> Forecast:
    """Return ridge regression from the look-back to the horizon, both less the last value, the same for all targets.

    NLinear of Zeng et al. (2022), "Are Transformers Effective for Time Series Forecasting?", in closed form: only the
    normal equations are kept, so that memory does not grow with the training part.
    """

    def centred(batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the past (B, C, L), the last value of each row taken off, and that value (B, 1, C), in deviations."""
        past_BLC = series.scaled(recent(batch, columns, lookback), batch)
        return (past_BLC - past_BLC[:, -1:]).transpose(1, 2), past_BLC[:, -1:]

    @cache  # at the first batch, as the residuals are
    def weights() -> Tensor:
        square_LL = torch.zeros(lookback + 1, lookback + 1, dtype=torch.float64)
        product_LF = torch.zeros(lookback + 1, series.horizon, dtype=torch.float64)
        pairs = 0
        for batch in spread(data, "train", max(1, PAIRS // len(columns))):
            assert batch.targets is not None
            past_BCL, last_B1C = centred(batch)
            ahead_BCF = (series.scaled(batch.targets.double(), batch) - last_B1C).transpose(1, 2)
            x_NL = torch.cat((past_BCL, torch.ones_like(past_BCL[..., :1])), -1).flatten(0, 1)
            square_LL += x_NL.T @ x_NL
            product_LF += x_NL.T @ ahead_BCF.flatten(0, 1)
            pairs += len(x_NL)
        penalty_L = torch.full((lookback + 1,), RIDGE * float(square_LL.diagonal()[:-1].mean()) + 1e-9 * pairs)
        penalty_L[-1] = 1e-9 * pairs  # of the constant
        return torch.linalg.solve(square_LL + penalty_L.double().diag(), product_LF)

    def forecast(batch: Batch) -> Tensor:
        past_BCL, last_B1C = centred(batch)
        weight_LF = weights()
        ahead_BFC = (past_BCL @ weight_LF[:-1] + weight_LF[-1]).transpose(1, 2)
        return series.in_units(ahead_BFC + last_B1C, batch)

    return forecast

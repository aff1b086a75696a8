"""Baselines of forecasting: the training mean, the last value, the last season."""

# B batch, F steps of the forecast (horizon), C target columns

from collections.abc import Sequence

import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import Baseline
from seqkit.tasks.forecast.prediction import SeriesPrediction


def baselines(
    horizon: int, mean: Sequence[float], columns: Sequence[int] | None, season: int | None
) -> dict[str, Baseline]:
    """Return the baselines by name: the training mean, the last value seen, the last season.

    Args:
        horizon: Rows to predict.
        mean: Of the training split, one per target.
        columns: Column of each target among the inputs; None where one is not among them (only the mean is left).
        season: Rows of one period; None where there is none, or the look-back does not hold one.
    """
    found: dict[str, Baseline] = {}
    if columns is not None:
        found["repeat last"] = lambda batch: last_rows(batch, horizon, columns, 1)
        if season:
            found[f"seasonal naive (season {season})"] = lambda batch: last_rows(batch, horizon, columns, season)
    found["training mean"] = lambda batch: training_mean(batch, horizon, mean)
    return found


def last_rows(batch: Batch, horizon: int, columns: Sequence[int], period: int) -> SeriesPrediction:
    """Repeat the last ``period`` rows of each window over the horizon."""
    rows_F = torch.arange(horizon) % period - period
    ends_B1 = torch.full((len(batch), 1), batch.inputs.shape[1]) if batch.lengths is None else batch.lengths[:, None]
    rows_BF = ends_B1 + rows_F
    return SeriesPrediction(batch.inputs[torch.arange(len(batch))[:, None], rows_BF][:, :, list(columns)].double())


def training_mean(batch: Batch, horizon: int, mean: Sequence[float]) -> SeriesPrediction:
    """Predict the mean of the training split at every step."""
    mean_C = torch.tensor(mean, dtype=torch.float64)
    return SeriesPrediction(mean_C.expand(len(batch), horizon, -1))

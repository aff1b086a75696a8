"""What forecasts are worth beside those that anybody could make."""

# B batch, T time, F steps of the forecast (horizon), C target channels, I input channels

from collections.abc import Callable

import torch
from torch import Tensor

from seqkit.contracts import Batch, Data, DataSpec, Frames, Head, Series, Split


def naive(spec: DataSpec, data: Data, split: Split, head: Head) -> dict[str, dict[str, float]]:
    """Return the naive forecasts' scores by name of forecast and score.

    They go through the head's own scores, so that both mean the same. Always: the mean of the training part. Where
    every target is among the inputs: the last value seen, and where the look-back holds a season, the last season.

    Args:
        spec: Of the data; its targets are a series.
        data: After its setup.
        split: Part to score.
        head: Whose scores they stand beside.
    """
    series = spec.targets
    assert isinstance(series, Series)
    forecasts: dict[str, Callable[[Batch], Tensor]] = {}
    inputs = spec.inputs.names if isinstance(spec.inputs, Frames) else ()
    if all(name in inputs for name in series.names):
        columns = [inputs.index(name) for name in series.names]
        mean_C, scale_C = (torch.tensor(values, dtype=torch.float64) for values in (series.mean, series.scale))

        def last_rows(batch: Batch, period: int) -> Tensor:
            """Repeat the last ``period`` rows of each window over the horizon."""
            rows_F = torch.arange(series.horizon) % period - period
            return (batch.inputs[:, rows_F][:, :, columns].double() - mean_C) / scale_C

        forecasts["repeat last"] = lambda batch: last_rows(batch, 1)
        season = series.season
        if season and series.lookback and season <= series.lookback:
            forecasts[f"seasonal naive (season {season})"] = lambda batch: last_rows(batch, season)
    # In scaled units the mean is zero.
    forecasts["training mean"] = lambda batch: torch.zeros(len(batch), series.horizon, len(series.names))

    scores = {name: head.scores() for name in forecasts}
    part = data.part(split)
    for indices in data.order(split, data.batch_size, 0, 0):
        batch = data.collate([part[index] for index in indices])
        for name, forecast in forecasts.items():
            scores[name].update(forecast(batch), None, batch)
    return {name: {score: float(value) for score, value in s.compute().items()} for name, s in scores.items()}

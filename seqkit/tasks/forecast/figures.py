"""Figures of forecasting: a few windows with the truth and the forecast; truth against forecast of a single step."""

# B batch, F steps of the forecast (horizon), C target columns

from collections.abc import Sequence
from typing import Any

from seqkit.contracts.batch import Batch
from seqkit.plotting import panels
from seqkit.tasks.forecast.baselines import last_rows
from seqkit.tasks.forecast.prediction import SeriesPrediction, interval_ends

COLUMNS = 3
"""Targets drawn."""


def forecasts(
    batch: Batch, prediction: SeriesPrediction, inputs: Sequence[str], names: Sequence[str], season: int | None = None
) -> Any:
    """Draw the rows seen, the truth, the forecast and the last season of each example.

    Args:
        batch: Examples, with targets.
        prediction: For them; the ends of its interval are drawn as a band, if there are some.
        inputs: Names of the columns that are read; of a target that is not among them no past is drawn.
        names: Of the targets.
        season: Rows of one period, repeated as a thin line; None where there is none.
    """
    assert batch.targets is not None
    horizon = prediction.values_BFC.shape[1]
    truth_BFC = batch.targets.reshape(prediction.values_BFC.shape).numpy()
    values_BFC = prediction.values_BFC.numpy()
    drawn = [name for name in names if name in inputs][:COLUMNS] or list(names[:1])
    ends = interval_ends(prediction.levels)
    figure, axes = panels(len(drawn), len(batch), 3.2 * len(batch), 2.4 * len(drawn))
    ahead = range(horizon)
    mark = "o" if horizon == 1 else ""
    for place, axis in enumerate(axes):
        name, row = drawn[place // len(batch)], place % len(batch)
        column = list(names).index(name)
        if name in inputs:
            steps = int(batch.lengths[row]) if batch.lengths is not None else batch.inputs.shape[1]
            keep = min(steps, 3 * horizon)
            read = list(inputs).index(name)
            axis.plot(range(-keep, 0), batch.inputs[row, steps - keep : steps, read], color="gray", label="seen")
            if season and season <= steps:
                repeated_BFC = last_rows(batch, horizon, [read], season)
                axis.plot(ahead, repeated_BFC[row, :, 0], color="tab:blue", linewidth=0.7, label="last season")
        axis.plot(ahead, truth_BFC[row, :, column], color="black", marker=mark, label="truth")
        axis.plot(ahead, values_BFC[row, :, column], color="tab:orange", marker=mark, label="forecast")
        if prediction.quantiles_BFCQ is not None and ends:
            low_F, high_F = (prediction.quantiles_BFCQ[row, :, column, end].numpy() for end in ends)
            label = f"{100 * (prediction.levels[ends[1]] - prediction.levels[ends[0]]):.3g} % interval"
            axis.fill_between(ahead, low_F, high_F, color="tab:orange", alpha=0.25, label=label)
        if row == 0:
            axis.set_ylabel(name, parse_math=False)
    axes[0].legend(fontsize=8)
    axes[-1].set_xlabel("steps ahead")
    if len(drawn) < len(names):
        figure.suptitle(f"{len(drawn)} of {len(names)} columns: {', '.join(drawn)}", parse_math=False, fontsize=9)
    return figure


def scatter(batch: Batch, prediction: SeriesPrediction, names: Sequence[str]) -> Any:
    """Draw the forecast of a single step against the truth, a dot per example."""
    assert batch.targets is not None
    values_BC = prediction.values_BFC[:, 0].numpy()
    truth_BC = batch.targets.reshape(prediction.values_BFC.shape)[:, 0].numpy()
    drawn = names[:COLUMNS]
    figure, axes = panels(1, len(drawn), 3.6 * len(drawn), 3.4)
    for column, (name, axis) in enumerate(zip(drawn, axes, strict=True)):
        axis.scatter(truth_BC[:, column], values_BC[:, column], s=8, color="tab:orange", alpha=0.6)
        axis.axline((truth_BC[0, column],) * 2, slope=1, color="black", linewidth=0.7)
        axis.set_xlabel(f"truth, {name}", parse_math=False)
    axes[0].set_ylabel("forecast")
    if len(drawn) < len(names):
        figure.suptitle(f"{len(drawn)} of {len(names)} columns", fontsize=9)
    return figure

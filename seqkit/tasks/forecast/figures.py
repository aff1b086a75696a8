"""Figures of forecasting: the truth and forecasts of a few windows, or of a backtest; a cloud for a single step."""

# B batch, F steps of the forecast (horizon), C target columns

from collections.abc import Sequence
from typing import Any

from seqkit.contracts.batch import Batch
from seqkit.plotting import panels
from seqkit.tasks.forecast.baselines import last_rows
from seqkit.tasks.forecast.prediction import SeriesPrediction, interval_ends

COLUMNS = 3
"""Targets drawn."""
ORIGINS = 6
"""Of a backtest, drawn side by side."""
LINES = 4
"""Of a backtest, drawn below each other: series and targets."""


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
    drawn = _drawn(inputs, names)
    figure, axes = panels(len(drawn), len(batch), 3.2 * len(batch), 2.4 * len(drawn))
    for place, axis in enumerate(axes):
        name, row = drawn[place // len(batch)], place % len(batch)
        beside = None
        if season and name in inputs and season <= _steps(batch, row):
            read = inputs.index(name)
            beside = "last season", last_rows(batch, prediction.values_BFC.shape[1], [read], season)[row, :, 0]
        _draw(axis, batch, prediction, row, name, inputs, names, beside)
        if row == 0:
            axis.set_ylabel(name, parse_math=False)
    axes[0].legend(fontsize=8)
    axes[-1].set_xlabel("steps ahead")
    if len(drawn) < len(names):
        figure.suptitle(f"{len(drawn)} of {len(names)} columns: {', '.join(drawn)}", parse_math=False, fontsize=9)
    return figure


def backtest(folds: Sequence[Any], inputs: Sequence[str], names: Sequence[str], baseline: str | None = None) -> Any:
    """Draw the forecast from each origin as ``forecasts`` does, side by side, a line of panels per series and target.

    Args:
        folds: As ``seqkit.sweeping.backtest.Fold``.
        inputs: Names of the columns that are read.
        names: Of the targets.
        baseline: Whose forecasts are drawn as thin lines; None for none.
    """
    drawn = _drawn(inputs, names)
    members = list(dict.fromkeys(folds[0].origins[place].series for place in folds[0].drawn))
    lines = [(series, name) for series in members for name in drawn][:LINES]
    count = min(len(folds), ORIGINS)
    shown = [folds[round(place * (len(folds) - 1) / max(count - 1, 1))] for place in range(count)]
    figure, axes = panels(len(lines), count, 3.0 * count, 2.4 * len(lines))
    for place, axis in enumerate(axes):
        (series, name), fold = lines[place // count], shown[place % count]
        origins = [fold.origins[window] for window in fold.drawn]
        rows = [row for row, origin in enumerate(origins) if origin.series == series]
        if not rows:  # the series has no rows there
            axis.set_axis_off()
            continue
        beside = None
        if baseline and baseline in fold.beside:
            beside = baseline, fold.beside[baseline].values_BFC[rows[0], :, names.index(name)]
        _draw(axis, fold.batch, fold.prediction, rows[0], name, inputs, names, beside)
        axis.set_title(origins[rows[0]].time, fontsize=8, parse_math=False)
        if fold is shown[0]:
            axis.set_ylabel(f"{series} {name}" if series else name, parse_math=False)
    axes[0].legend(fontsize=7)
    axes[-1].set_xlabel("steps ahead")
    every = {origin.series for origin in folds[0].origins}
    counted = [(count, len(folds), "origins"), (len({series for series, _ in lines}), len(every), "series")]
    counted.append((len({name for _, name in lines}), len(names), "columns"))
    if left_out := [f"{some:,} of {whole:,} {what}" for some, whole, what in counted if some < whole]:
        figure.suptitle(", ".join(left_out), fontsize=9)
    return figure


def _drawn(inputs: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the targets that are drawn."""
    return [name for name in names if name in inputs][:COLUMNS] or list(names[:1])


def _steps(batch: Batch, row: int) -> int:
    """Return how many rows were read."""
    return int(batch.lengths[row]) if batch.lengths is not None else batch.inputs.shape[1]


def _draw(
    axis: Any,
    batch: Batch,
    prediction: SeriesPrediction,
    row: int,
    name: str,
    inputs: Sequence[str],
    names: Sequence[str],
    beside: tuple[str, Any] | None,
) -> None:
    """Draw one target of one window; ``beside`` is another forecast (F,) and its name."""
    assert batch.targets is not None
    values_BFC = prediction.values_BFC
    horizon, column = values_BFC.shape[1], list(names).index(name)
    ahead, mark = range(horizon), "o" if horizon == 1 else ""
    if name in inputs:
        steps = _steps(batch, row)
        keep = min(steps, max(3 * horizon, 10))
        past_T = batch.inputs[row, steps - keep : steps, list(inputs).index(name)]
        axis.plot(range(-keep, 0), past_T, color="gray", label="seen")
    if beside:
        label, other_F = beside
        axis.plot(ahead, other_F, color="tab:blue", linewidth=0.8, marker=mark, markersize=3, label=label, zorder=3)
    axis.plot(ahead, batch.targets.reshape(values_BFC.shape)[row, :, column], color="black", marker=mark, label="truth")
    axis.plot(ahead, values_BFC[row, :, column], color="tab:orange", marker=mark, label="forecast")
    ends = interval_ends(prediction.levels)
    if prediction.quantiles_BFCQ is None or not ends:
        return
    low_F, high_F = (prediction.quantiles_BFCQ[row, :, column, end].numpy() for end in ends)
    label = f"{100 * (prediction.levels[ends[1]] - prediction.levels[ends[0]]):.3g} % interval"
    if horizon == 1:  # a band has no width there
        axis.vlines(ahead, low_F, high_F, color="tab:orange", alpha=0.4, linewidth=4, label=label)
    else:
        axis.fill_between(ahead, low_F, high_F, color="tab:orange", alpha=0.25, label=label)


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

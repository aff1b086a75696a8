"""Figure of forecasting: a few windows with the truth and the forecast."""

# B batch, F steps of the forecast (horizon), C target columns

from collections.abc import Sequence
from typing import Any

from seqkit.contracts.batch import Batch
from seqkit.plotting import panels
from seqkit.tasks.forecast.prediction import SeriesPrediction

COLUMNS = 3  # targets drawn


def forecasts(batch: Batch, prediction: SeriesPrediction, inputs: Sequence[str], names: Sequence[str]) -> Any:
    """Draw the rows seen, the truth and the forecast of each example.

    Args:
        batch: Examples, with targets.
        prediction: For them; the outermost quantiles are drawn as a band, if there are some.
        inputs: Names of the columns that are read; of a target that is not among them no past is drawn.
        names: Of the targets.
    """
    assert batch.targets is not None
    horizon = prediction.values_BFC.shape[1]
    truth_BFC = batch.targets.reshape(prediction.values_BFC.shape).numpy()
    values_BFC = prediction.values_BFC.numpy()
    drawn = [name for name in names if name in inputs][:COLUMNS] or list(names[:1])
    figure, axes = panels(len(drawn), len(batch), 3.2 * len(batch), 2.4 * len(drawn))
    ahead = range(horizon)
    mark = "o" if horizon == 1 else ""
    for place, axis in enumerate(axes):
        name, row = drawn[place // len(batch)], place % len(batch)
        column = list(names).index(name)
        if name in inputs:
            steps = int(batch.lengths[row]) if batch.lengths is not None else batch.inputs.shape[1]
            keep = min(steps, 3 * horizon)
            past = batch.inputs[row, steps - keep : steps, list(inputs).index(name)].numpy()
            axis.plot(range(-keep, 0), past, color="gray", label="seen")
        axis.plot(ahead, truth_BFC[row, :, column], color="black", marker=mark, label="truth")
        axis.plot(ahead, values_BFC[row, :, column], color="tab:orange", marker=mark, label="forecast")
        if prediction.quantiles_BFCQ is not None:
            low_F, high_F = (prediction.quantiles_BFCQ[row, :, column, end].numpy() for end in (0, -1))
            label = f"{prediction.levels[0]:g} to {prediction.levels[-1]:g}"
            axis.fill_between(ahead, low_F, high_F, color="tab:orange", alpha=0.25, label=label)
        if row == 0:
            axis.set_ylabel(name, parse_math=False)
    axes[0].legend(fontsize=8)
    axes[-1].set_xlabel("steps ahead")
    return figure

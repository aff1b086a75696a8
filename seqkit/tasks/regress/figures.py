"""Figure of regression: predictions against truth."""

# B batch, C targets

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seqkit.plotting import panels

MOST = 6  # targets that are drawn


def scatter(targets_BC: Tensor, values_BC: Tensor, names: Sequence[str]) -> Any:
    """Draw a point per sequence, truth across and prediction up, with the line where both are the same."""
    shown = names[:MOST]
    figure, axes = panels(1, len(shown), 4 * len(shown), 4)
    for column, (axis, name) in enumerate(zip(axes, shown, strict=True)):
        truth_B, value_B = targets_BC[:, column].double(), values_BC[:, column].double()
        low, high = float(min(truth_B.min(), value_B.min())), float(max(truth_B.max(), value_B.max()))
        axis.plot([low, high], [low, high], color="grey", linewidth=0.8)
        axis.plot(truth_B.numpy(), value_B.numpy(), ".", markersize=4)
        axis.set_xlabel(f"{name}, true", parse_math=False)
        axis.set_ylabel("predicted")
    if len(names) > MOST:
        axes[0].set_title(f"{MOST} of {len(names)} targets", fontsize=9)
    return figure

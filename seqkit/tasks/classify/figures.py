"""Figure of classification: the confusion matrix."""

# C classes

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from seqkit.plotting import panels


def confusion_matrix(counts_CC: Tensor, names: Sequence[str]) -> Any:
    """Draw the counts of each true class (row) by predicted class (column), coloured by share of the row."""
    side = min(20.0, max(4.0, 0.45 * len(names)))
    figure, [axis] = panels(1, 1, side + 1, side)
    share_CC = counts_CC / counts_CC.sum(1, keepdim=True).clamp(min=1)
    axis.imshow(share_CC.numpy(), cmap="Blues", vmin=0, vmax=1)
    if len(names) <= 30:
        for row in range(len(names)):
            for column in range(len(names)):
                count = int(counts_CC[row, column])
                if count:
                    color = "white" if share_CC[row, column] > 0.5 else "black"
                    axis.text(column, row, count, ha="center", va="center", color=color, fontsize=8)
    if len(names) <= 60:
        axis.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
        axis.set_yticks(range(len(names)), names, parse_math=False)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    return figure

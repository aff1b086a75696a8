"""The figure of every run, learning curves; and figures as files."""

import io
from pathlib import Path
from typing import Any

from seqkit.files import write_atomic
from seqkit.plotting import panels
from seqkit.runs.metrics_csv import read_metrics


def learning_curves(metrics: Path, monitor: str) -> Any:
    """Draw training loss, validation loss and the monitored metric over optimizer steps.

    Args:
        metrics: The run's ``metrics.csv``.
        monitor: Name of the monitored metric.
    """
    rows = read_metrics(metrics)
    figure, axes = panels(1, 2, 9, 3.2)
    for panel, names in zip(axes, (("train/loss", "valid/loss"), (f"valid/{monitor}",)), strict=True):
        for name in names:
            points = [(step, value) for step, metric, value in rows if metric == name]
            if points:
                steps, values = zip(*points, strict=True)
                marked = name.startswith("valid") or len(points) == 1
                panel.plot(steps, values, label=name, marker="o" if marked else "", markersize=3)
        panel.set_xlabel("optimizer steps")
        panel.xaxis.get_major_locator().set_params(integer=True)
        if panel.lines:
            panel.legend()
    axes[0].set_ylabel("loss")
    axes[1].set_ylabel(monitor.replace("_", " "))
    return figure


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_atomic(path, content.getvalue())

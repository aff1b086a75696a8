"""Learning curves, of a run and of many; and figures as files."""

import io
import math
from pathlib import Path
from textwrap import fill
from typing import Any

from seqkit.errors import SeqkitError, shortened
from seqkit.files import write_atomic
from seqkit.plotting import panels
from seqkit.report.comparison import Comparison
from seqkit.report.comparison_tables import name_of, titles
from seqkit.report.text import number
from seqkit.runs.listing import Listed
from seqkit.runs.metrics_csv import read_metrics

FORMATS = (".png", ".svg", ".pdf")
NAMED = 10
"""Curves with a colour and a name; the others of a panel are grey."""
PANELS = 8
"""Comparisons in one figure; of many, the largest."""
SPAN = 20
"""Largest over smallest score from which the axis of a score that is to be low is logarithmic."""


def learning_curves(metrics: Path, monitor: str, best_step: int | None = None) -> Any:
    """Draw training loss, validation loss and the monitored metric over optimizer steps.

    Args:
        metrics: The run's ``metrics.csv``.
        monitor: Name of the monitored metric.
        best_step: Of the best checkpoint, which is marked.
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
            if best_step is not None:
                panel.axvline(best_step, color="0.6", linestyle=":", label=f"best, step {best_step:,}", zorder=0)
            panel.legend()
    axes[0].set_ylabel("loss")
    axes[1].set_ylabel(monitor.replace("_", " "))
    return figure


def rate_curve(rates: list[float], losses: list[float], smoothed: list[float], suggested: float) -> Any:
    """Draw the training loss over the learning rate, and the loss smoothed, with the suggested rate marked."""
    figure, (panel,) = panels(1, 1, 6, 3.6)
    panel.plot(rates, losses, color="0.8", linewidth=0.8)
    panel.plot(rates, smoothed)
    panel.axvline(suggested, color="C1", linestyle="--", label=f"{suggested:g}")
    panel.set_xscale("log")
    panel.set_xlabel("learning rate")
    panel.set_ylabel("training loss")
    panel.legend()
    return figure


def compared_curves(comparisons: list[Comparison]) -> tuple[Any, list[str]]:
    """Draw the monitored validation score of many runs over optimizer steps, one panel per comparison.

    A colour is one choice of options, its curves the seeds; beyond the best ``NAMED`` choices they are grey.

    Returns:
        The figure, and the labels of runs without a curve.
    """
    shown = comparisons[:PANELS]
    left_out = [run.label for one in comparisons[PANELS:] for run in one.runs]
    figure, axes = panels(len(shown), 1, 10, 4.2 * len(shown))
    for panel, title, comparison in zip(axes, titles(comparisons), shown, strict=False):
        left_out += _draw(panel, comparison)
        panel.set_title(fill(title, 110).replace("$", r"\$"), fontsize=10, loc="left")
    return figure, left_out


def _draw(panel: Any, comparison: Comparison) -> list[str]:
    """Draw the curves of a comparison, the best on top; return the labels of runs without one."""
    metric, direction = comparison.monitor or ("score", "min")
    chosen = [(name_of(group, comparison.options), group.runs, group.score) for group in comparison.groups]
    if len(chosen) == 1:  # nothing but the seed differs
        chosen = [(_seed(run), [run], run.score) for run in comparison.runs]
    left_out, drawn = [], []
    for name, runs, score in chosen:
        found = [(run.label, _curve(run, metric)) for run in runs]
        left_out += [label for label, curve in found if not curve]
        if curves := [curve for _, curve in found if curve]:
            drawn.append((f"{number(score)}  {name}", curves))
    handles = []
    for place, (name, curves) in enumerate(drawn):
        named = place < NAMED
        for steps, values in curves:
            (line,) = panel.plot(
                steps,
                values,
                color=f"C{place}" if named else "0.82",
                linewidth=1.4 if named else 0.8,
                marker="o" if len(steps) == 1 else "",
                markersize=3,
                zorder=3 - place / len(drawn),
                label=shortened(name, 80).replace("$", r"\$") if named else f"{len(drawn) - NAMED} others",
            )
        if place <= NAMED:
            handles.append(line)
    every = [value for _, curves in drawn for _, values in curves for value in values]
    if direction == "min" and every and 0 < SPAN * min(every) < max(every):
        panel.set_yscale("log")
    panel.set_xlabel("optimizer steps")
    panel.set_ylabel(f"validation {metric.replace('_', ' ')}")
    panel.xaxis.get_major_locator().set_params(integer=True)
    if handles:
        panel.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8, frameon=False)
    return left_out


def _curve(run: Listed, metric: str) -> tuple[list[int], list[float]] | None:
    """Return the finite validation scores of a run over steps; None where it has none that can be read."""
    try:
        rows = read_metrics(run.run.metrics_csv)
    except (SeqkitError, OSError):
        return None
    points = [(step, value) for step, name, value in rows if name == f"valid/{metric}" and math.isfinite(value)]
    return ([step for step, _ in points], [value for _, value in points]) if points else None


def _seed(run: Listed) -> str:
    return f"seed={run.options['seed']}" if "seed" in run.options else run.label


def save(figure: Any, path: Path) -> None:
    """Write a figure, whole or not at all; the end of its name is one of ``FORMATS``."""
    if path.suffix == ".png":
        write_atomic(path, png(figure, 110))
        return
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:], dpi=110)
    write_atomic(path, content.getvalue())


def png(figure: Any, dpi: int) -> bytes:
    """Draw a figure, of whatever canvas, once; ``savefig`` would lay it out by drawing it once more."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    content = io.BytesIO()
    figure.set_dpi(dpi)
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()

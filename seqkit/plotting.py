"""Figures of matplotlib, without a display and without global state."""

from typing import Any


def panels(rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """Return a new figure and its axes, row by row.

    Args:
        rows: Of axes.
        columns: Of axes.
        width: In inches.
        height: In inches.
    """
    # The object interface: pyplot keeps global state and would choose a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)

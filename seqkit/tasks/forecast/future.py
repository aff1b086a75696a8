"""Forecasts of the rows after the end of a file: as a table of dated rows, and drawn after the rows before them."""

# T time (rows), F steps of the forecast (horizon), C target columns, Q quantiles

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from seqkit.plotting import panels

Answer = Mapping[str, Any]

DIGITS = 7  # significant ones of single precision
SERIES = 4  # drawn
COLUMNS = 3  # targets drawn


def table(
    answers: Sequence[Answer],
    series_column: str | None,
    time_column: str | None,
    kept: Sequence[int] | None = None,
) -> dict[str, list[Any]]:
    """Return one row per series and step, as columns by name.

    Those are the series, if there are several; the time, or the number of the step where times are not known; the
    targets; and their quantiles, as ``NAME_q0.1``.

    Args:
        answers: As ``Series.answers`` gives them, with the ``times`` and the ``series`` of each where known.
        series_column: Its name in the file, if it has one.
        time_column: Likewise.
        kept: Quantiles to return, by place; all if not given.
    """
    names = answers[0]["names"]
    levels = answers[0].get("levels", [])
    kept = range(len(levels)) if kept is None else kept
    levels = [levels[place] for place in kept]
    time = time_column or "step"
    columns: dict[str, list[Any]] = {series_column: []} if series_column else {}
    columns |= {time: [], **{name: [] for name in names}}
    columns |= {f"{name}_q{level:g}": [] for name in names for level in levels}
    for answer in answers:
        steps = len(answer["values"])
        if series_column:
            columns[series_column] += [answer["series"]] * steps
        columns[time] += answer.get("times") or range(1, steps + 1)
        for row in answer["values"]:
            for name, value in zip(names, row, strict=True):
                columns[name].append(rounded(value))
        for quantiles_CQ in answer.get("quantiles", []):
            for name, quantiles in zip(names, quantiles_CQ, strict=True):
                for level, place in zip(levels, kept, strict=True):
                    columns[f"{name}_q{level:g}"].append(rounded(quantiles[place]))
    return columns


def rounded(value: float) -> float:
    """Return a number to as many digits as single precision has."""
    return float(f"{value:.{DIGITS}g}")


def figure(answers: Sequence[Answer], pasts: Sequence[Any], inputs: Sequence[str], ends: Sequence[int] | None) -> Any:
    """Draw the forecasts of the first series after the rows before them.

    Args:
        answers: As of ``table``.
        pasts: The rows (T, I) that each was made from.
        inputs: Names of the columns of those.
        ends: Places of the quantiles that bound the interval to be drawn; None for none.
    """
    names = answers[0]["names"]
    drawn = [name for name in names if name in inputs][:COLUMNS] or names[:1]
    count = min(len(answers), SERIES)
    made, axes = panels(len(drawn) * count, 1, 9, 2.4 * len(drawn) * count)
    for place, axis in enumerate(axes):
        answer, past_TI, name = answers[place // len(drawn)], pasts[place // len(drawn)], drawn[place % len(drawn)]
        column, steps = names.index(name), len(answer["values"])
        keep = min(len(past_TI), max(3 * steps, 30))
        ahead: Sequence[Any] = range(1, steps + 1)
        behind: Sequence[Any] = range(1 - keep, 1)
        if moments := _moments(answer.get("times"), keep):
            behind, ahead = moments
        values = [row[column] for row in answer["values"]]
        if name in inputs:
            seen = past_TI[-keep:, list(inputs).index(name)].tolist()
            axis.plot(behind, seen, color="gray", label="seen")
            ahead, values = [behind[-1], *ahead], [seen[-1], *values]  # joined to the last row seen
        axis.plot(ahead, values, color="tab:orange", label="forecast")
        if ends:
            levels, (low, high) = answer["levels"], ends
            outer = [(row[column][low], row[column][high]) for row in answer["quantiles"]]
            label = f"{levels[low]:g} to {levels[high]:g}"
            axis.fill_between(ahead[-steps:], *zip(*outer, strict=True), color="tab:orange", alpha=0.25, label=label)
        axis.set_ylabel(name, parse_math=False)
        if "series" in answer:
            axis.set_title(str(answer["series"]), fontsize=9, parse_math=False)
    axes[0].legend(fontsize=8, loc="upper left")
    if not answers[0].get("times"):
        axes[-1].set_xlabel("steps ahead")
    if len(answers) > count or len(names) > len(drawn):
        made.suptitle(f"{count} of {len(answers):,} series, {len(drawn)} of {len(names):,} columns", fontsize=9)
    return made


def _moments(times: Sequence[str] | None, before: int) -> tuple[list[datetime], list[datetime]] | None:
    """Return the moments of the rows before and of those to come; None where times are not dates, or one alone."""
    try:
        ahead = [datetime.fromisoformat(time) for time in times or ()]
        step = ahead[1] - ahead[0]
        return [ahead[0] - step * place for place in range(before, 0, -1)], ahead
    except (ValueError, IndexError, OverflowError):
        return None

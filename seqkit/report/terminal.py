"""Reports for the terminal: the outcome of a run, of an evaluation."""

from pathlib import Path
from typing import Any

from seqkit.errors import shown
from seqkit.report.text import columns_of, indented, number, text_table


def terminal_summary(report: dict[str, Any]) -> str:
    """Return what is printed at the end of a run: metrics beside those of the baselines, a sample, the path."""
    parts = [score_table({"model": report["test"], **report["baselines"]}, "test", "in report.md")]
    if report["sample"]:
        parts.append(f"sample:\n{indented(report['sample'])}")
    parts.append(
        f"run: {shown(Path(report['run']))}  (report.md, {', '.join([*report.get('tables', ()), *report['figures']])})"
    )
    return "\n\n".join(parts)


def score_table(scores: dict[str, dict[str, float]], split: str, all_in: str = "printed by --json") -> str:
    """Return a text table, one line per predictor, one column per metric, within the width of a terminal.

    What only one predictor beside the first has, such as what was chosen for it, is said in a line below.

    Args:
        scores: Of each predictor, by metric.
        split: That was scored.
        all_in: Says where all of them are.
    """
    first, *others = scores.values()
    columns = [name for name in columns_of(scores.values()) if name in first or sum(name in row for row in others) > 1]
    rows = [[name, *(number(row.get(column)) for column in columns)] for name, row in scores.items()]
    lines = [text_table([split, *columns], rows, all_in)]
    for name, row in scores.items():
        if own := [f"{metric} {number(value)}" for metric, value in row.items() if metric not in columns]:
            lines.append(f"{name}: {', '.join(own)}")
    return "\n".join(lines)

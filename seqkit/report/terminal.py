"""Reports for the terminal: the outcome of a run, of an evaluation."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from seqkit.errors import shown
from seqkit.report.text import columns_of, indented, number, text_table

MOST = 24  # metrics of a table; the rest of more is summed up


def terminal_summary(report: dict[str, Any]) -> str:
    """Return what is printed at the end of a run: metrics beside those of the baselines, a sample, the path."""
    parts = [score_table({"model": report["test"], **report["baselines"]}, "test", "report.md has all")]
    if report["sample"]:
        parts.append(f"sample:\n{indented(report['sample'])}")
    parts.append(
        f"run: {shown(Path(report['run']))}  (report.md, {', '.join([*report.get('tables', ()), *report['figures']])})"
    )
    return "\n\n".join(parts)


def score_table(scores: dict[str, dict[str, float]], split: str, all_in: str = "--json prints all") -> str:
    """Return a text table, one line per predictor, one column per metric, within the width of a terminal.

    Of many metrics the last ones are left out, and said in a line below with the first predictor's values.

    Args:
        scores: Of each predictor, by metric.
        split: That was scored.
        all_in: Says where all of them are.
    """
    columns = columns_of(scores.values())
    on_terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    table = text_table(
        [split, *columns[:MOST]],
        [[name, *(number(row.get(column)) for column in columns[:MOST])] for name, row in scores.items()],
        shutil.get_terminal_size().columns if on_terminal else None,
    )
    if len(columns) <= MOST:
        return table
    name, values = next(iter(scores.items()))
    left = {column: values[column] for column in columns[MOST:] if values.get(column) is not None}
    if not left:
        return f"{table}\n{len(columns) - MOST:,} more metrics; {all_in}"
    least, most = min(left, key=left.__getitem__), max(left, key=left.__getitem__)
    return (
        f"{table}\n{len(columns) - MOST:,} more metrics of {name}, from {number(left[least])} ({least}) to "
        f"{number(left[most])} ({most}); {all_in}"
    )

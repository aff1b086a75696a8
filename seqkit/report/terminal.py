"""Reports for the terminal: the outcome of a run, of an evaluation."""

from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from seqkit.errors import shown
from seqkit.report.text import columns_of, indented, number, text_table

WIDTH = 120  # of a table where there is no terminal


def terminal_summary(report: dict[str, Any]) -> str:
    """Return what is printed at the end of a run: metrics beside those of the baselines, a sample, the path."""
    parts = [score_table({"model": report["test"], **report["baselines"]}, "test", "report.md has all")]
    if report["sample"]:
        parts.append(f"sample:\n{indented(report['sample'])}")
    parts.append(f"run: {shown(Path(report['run']))}  (report.md, {', '.join(report['figures'])})")
    return "\n\n".join(parts)


def score_table(scores: dict[str, dict[str, float]], split: str, all_in: str = "--json prints all") -> str:
    """Return a text table, one line per predictor, one column per metric.

    Where the terminal is too narrow the last metrics are left out, and said in a line below with the first
    predictor's values.

    Args:
        scores: Of each predictor, by metric.
        split: That was scored.
        all_in: Says where all of them are.
    """
    width = get_terminal_size((WIDTH, 24)).columns
    columns = columns_of(scores.values())
    count = len(columns)
    while count > 1 and max(map(len, _table(scores, split, columns[:count]).splitlines())) > width:
        count -= 1
    table = _table(scores, split, columns[:count])
    if count == len(columns):
        return table
    name, values = next(iter(scores.items()))
    left = {column: values[column] for column in columns[count:] if values.get(column) is not None}
    if not left:
        return f"{table}\n{len(columns) - count:,} more metrics; {all_in}"
    least, most = min(left, key=left.__getitem__), max(left, key=left.__getitem__)
    return (
        f"{table}\n{len(columns) - count:,} more metrics of {name}, from {number(left[least])} ({least}) to "
        f"{number(left[most])} ({most}); {all_in}"
    )


def _table(scores: dict[str, dict[str, float]], split: str, columns: list[str]) -> str:
    return text_table(
        [split, *columns], [[name, *(number(row.get(column)) for column in columns)] for name, row in scores.items()]
    )

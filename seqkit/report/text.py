"""Numbers and tables as text."""

import csv
import io
import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

NAMED = 6
"""Columns that are named of those left out."""


def number(value: float | None) -> str:
    """Format a metric to four significant digits; "-" for None."""
    return "-" if value is None else f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3e}"


def columns_of(scores: Iterable[dict[str, float]]) -> list[str]:
    """Return the metrics of all rows in the order of their first occurrence."""
    return list(dict.fromkeys(name for row in scores for name in row))


def indented(text: str) -> str:
    """Return a text indented by four spaces (a code block in Markdown)."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def text_table(header: list[str], rows: list[list[str]], all_in: str) -> str:
    """Return a table in columns as wide as their longest cell, on a terminal within its width, else complete.

    Args:
        header: Names of the columns, those that matter first: the last ones are left out where they do not fit, and
            named below. The first two always stand.
        rows: Cells of each line.
        all_in: Says where all columns are.
    """
    on_terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    width = shutil.get_terminal_size().columns if on_terminal else math.inf
    cells = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    ends = [end - 2 for end in accumulate(width + 2 for width in widths)]
    count = max(2, sum(end <= width for end in ends))
    cells.insert(1, ["-" * width for width in widths])
    lines = ["  ".join(map(str.ljust, line[:count], widths)).rstrip() for line in cells]
    if left := header[count:]:
        lines.append(next(text for text in _left_out(left, all_in) if len(text) <= width or "," not in text))
    return "\n".join(lines)


def _left_out(names: Sequence[str], all_in: str) -> Iterator[str]:
    """Yield the line about columns that are left out, each time with fewer of their names."""
    for count in range(min(NAMED, len(names)), -1, -1):
        named = [*names[:count], *["..."] * (0 < count < len(names))]
        yield f"{len(names)} more column{'s' * (len(names) > 1)}{''.join(f', {name}' for name in named)}: {all_in}"


def csv_text(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return a table of columns as CSV, numbers to six significant digits, nothing where one is undefined."""
    buffer = io.StringIO()
    lines = csv.writer(buffer, lineterminator="\n")
    lines.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        lines.writerow(_cell(cell) for cell in row)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.6g}"


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def changed_in_words(entry: dict[str, Any]) -> str:
    """Return an entry of a run's history in one line."""
    changes = (
        f"{option} from {json.dumps(old)} to {json.dumps(new)}" for option, (old, new) in entry["changes"].items()
    )
    return f"{', '.join(changes)} at step {entry['step']:,}, {entry['time']}"


def started_in_words(source: dict[str, Any]) -> str:
    """Return the provenance of a run's first weights in one line."""
    taken = f"{len(source['whole'])} tensors whole"
    rows = [f"of {name} {count} rows" for name, count in source["rows"].items()]
    left = [f"{name} left out ({reason})" for name, reason in source["left_out"].items()]
    where = f"{source['run']} step {source['step']:,} (sha256 {source['sha256'][:12]})"
    return f"{where}: {', '.join([taken, *rows, *left])}"

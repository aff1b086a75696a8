"""Numbers and tables as text."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def number(value: float | None) -> str:
    """Format a metric to four significant digits; "-" for None."""
    return "-" if value is None else f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3e}"


def columns_of(scores: Iterable[dict[str, float]]) -> list[str]:
    """Return the metrics of all rows in the order of their first occurrence."""
    return list(dict.fromkeys(name for row in scores for name in row))


def indented(text: str) -> str:
    """Return a text indented by four spaces (a code block in Markdown)."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def text_table(header: list[str], rows: list[list[str]], width: int | None = None) -> str:
    """Return a table in columns as wide as their longest cell.

    Args:
        header: Names of the columns.
        rows: Cells of each line.
        width: Characters of a line; columns that do not fit follow below, beside the first one again. None is any.
    """
    cells = [header, *rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    cells.insert(1, ["-" * width for width in widths])
    blocks: list[list[int]] = [[0]]
    for column in range(1, len(header)):
        taken = sum(widths[place] + 2 for place in blocks[-1])
        if width and taken + widths[column] > width and len(blocks[-1]) > 1:
            blocks.append([0])
        blocks[-1].append(column)
    return "\n\n".join(
        "\n".join("  ".join(line[place].ljust(widths[place]) for place in block).rstrip() for line in cells)
        for block in blocks
    )


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

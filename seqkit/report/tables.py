"""Tables of many runs that fit the width of the terminal."""

import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from seqkit.errors import shortened
from seqkit.report.text import number
from seqkit.runs.listing import Listed

AGES = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
SIZES = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 1000))
FOLDED = 9
"""Characters to which a cell of words is folded at most, and no further."""


def runs_table(runs: list[Listed]) -> Table:
    """Return a table of runs, one line each."""
    now = time.time()
    rows = [
        {
            "run": run.label,
            "state": run.state,
            "score": f"{run.monitor[0]} {number(run.score)}" if run.monitor and run.score is not None else "-",
            "steps": steps(run),
            "age": age(now - run.written),
            "size": size(run.size),
        }
        for run in runs
    ]
    return table(["run", "state", "score", "steps", "age", "size"], rows, ["run", "state", "score"])


def table(header: Sequence[str], rows: Sequence[dict[str, str]], words: Sequence[str]) -> Table:
    """Return a table.

    Args:
        header: Names of the columns; a dotted one is broken at its dot.
        rows: A cell per column; one that is missing is empty.
        words: Columns that stand to the left, and are folded where the terminal is narrow.
    """
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in header:
        title = [broken for part in name.replace(".", ". ", 1).split() for broken in _broken(part)]
        cells = [row.get(name, "") for row in rows]
        least = [min(len(cell), FOLDED) if name in words else len(part) for cell in cells for part in cell.split(" ")]
        made.add_column(
            Text("\n".join(title)),
            justify="left" if name in words else "right",
            overflow="fold",
            min_width=max([*least, *map(len, title)]),
        )
    for row in rows:
        made.add_row(*(Text(row.get(name, "")) for name in header))
    return made


def _broken(name: str) -> list[str]:
    """Return a long name in parts that end in an underscore."""
    return [name] if len(name) <= FOLDED + 4 else re.findall(r"[^_]+_*|_+", name)


def print_table(made: Table) -> None:
    """Print a table: on a terminal within its width if that can be, else with every cell whole."""
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 1000, highlight=False)
    least = Measurement.get(console, console.options.update(max_width=1000), made).minimum
    console.width = max(console.width, least)
    with console.capture() as captured:
        console.print(made, crop=False)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def problem_lines(runs: Iterable[Listed]) -> None:
    """Print on stderr, one line each, what cannot be read."""
    for run in runs:
        if run.problem:
            print(f"seqkit: {run.problem}", file=sys.stderr)


def steps(run: Listed) -> str:
    """Return the finished steps, of how many while there are more to come."""
    if run.steps is None:
        return "-"
    more = run.max_steps is not None and run.state != "finished"
    return f"{run.steps:,}/{run.max_steps:,}" if more else f"{run.steps:,}"


def age(seconds: float) -> str:
    """Return a time span in its largest unit."""
    return next((f"{seconds / of:.0f} {unit}" for unit, of in AGES if seconds >= of), "0 s")


def size(count: int) -> str:
    """Return bytes in the largest unit."""
    return next((f"{count / of:.1f} {unit}" for unit, of in SIZES if count >= of), f"{count} B")


def value(option: Any) -> str:
    """Return an option's value as it is typed on the command line."""
    if option is None or isinstance(option, bool):
        return {None: "null", True: "true", False: "false"}[option]
    if isinstance(option, list):
        return f"[{','.join(map(value, option))}]"
    return shortened(option)

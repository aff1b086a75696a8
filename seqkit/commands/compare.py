"""Compare runs: ranked by validation, with the options that differ, and mean and spread over seeds.

seqkit compare runs/morse/a runs/morse/b        two runs
seqkit compare runs/morse                       every run of a name; 'morse/2026*' those that match
seqkit compare SWEEP                            the jobs of a sweep, by its folder or its ID
seqkit compare runs/morse --figure curves.png   and their learning curves in one figure: .png, .svg or .pdf

Validation alone decides the order; the test scores stand beside it. Runs of another task, or scored on other data, are
ranked by themselves. Means over seeds are those of finished runs that differ in nothing but the seed.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqkit.report.comparison import Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("what", nargs="+", metavar="RUN", help="folder of a run, of runs or of a sweep; its ID; a GLOB")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs (default: runs)")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the learning curves into FILE")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--csv", action="store_true", help="print CSV, one line per run")


def run(arguments: argparse.Namespace) -> None:
    """Print the comparison; what cannot be read is one line each on stderr."""
    from seqkit.errors import ConfigError
    from seqkit.report.comparison import compare
    from seqkit.report.comparison_tables import csv_text, print_comparisons
    from seqkit.report.figures import FORMATS
    from seqkit.report.tables import problem_lines
    from seqkit.runs.listing import read_named

    figure = arguments.figure
    if figure is not None:
        _refuse_figure(figure, FORMATS)
    named = [one for what in arguments.what for one in read_named(what, arguments.runs)]
    found = list({one.run.path.resolve(): one for one in named}.values())
    comparisons = compare(one for one in found if one.state != "unreadable")
    if not comparisons:
        problem_lines(found)
        raise ConfigError("there is no run to compare")
    if arguments.json:
        print(json.dumps([one.to_json() for one in comparisons], indent=2))
    elif arguments.csv:
        print(csv_text(comparisons), end="")
    else:
        print_comparisons(comparisons)
    problem_lines(found)
    if figure is not None:
        _draw(comparisons, figure)
    elif not (arguments.json or arguments.csv):
        print("--figure FILE draws the learning curves", file=sys.stderr)


def _draw(comparisons: "list[Comparison]", figure: Path) -> None:
    """Draw the learning curves, and say where they are and which runs have none."""
    from seqkit.errors import ConfigError
    from seqkit.files import disk_reason
    from seqkit.report.figures import compared_curves, save

    drawn, left_out = compared_curves(comparisons)
    try:
        save(drawn, figure)
    except OSError as error:
        raise ConfigError(f"--figure {figure}: cannot be written ({disk_reason(error)})") from None
    said = f"; without {', '.join(left_out)}" if left_out else ""
    print(f"learning curves: {figure}{said}", file=sys.stderr)


def _refuse_figure(figure: Path, formats: tuple[str, ...]) -> None:
    """Refuse, before anything is read, a figure that could not be written."""
    from seqkit.errors import ConfigError

    if figure.suffix not in formats:
        raise ConfigError(f"--figure {figure}: its name must end in {', '.join(formats[:-1])} or {formats[-1]}")
    if not figure.parent.is_dir():
        raise ConfigError(f"--figure {figure}: there is no folder {figure.parent}")

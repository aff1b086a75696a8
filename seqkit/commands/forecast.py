"""Forecast the rows after the end of a file, with their dates, into a CSV or Parquet file or onto the terminal."""

import argparse
import json
from pathlib import Path

LINES = 200  # of a table that are printed whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", type=Path, help="folder of a run (its best checkpoint is taken), or a checkpoint")
    parser.add_argument("--data", metavar="FILE", help="forecast what follows this file (default: the run's own)")
    parser.add_argument("--known", metavar="FILE", help="the columns that are known ahead, for the rows to come")
    parser.add_argument("--horizon", metavar="N", type=int, help="forecast N rows (default: as many as were trained)")
    parser.add_argument("--output", metavar="FILE", help="write the rows there, ending in .csv or .parquet")
    parser.add_argument("--plot", metavar="FILE", help="draw them there, ending in .png, .svg or .pdf")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: a GPU if there is one"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object a series")


def run(arguments: argparse.Namespace) -> None:
    """Forecast and write or show the rows."""
    from seqkit.report.text import text_table
    from seqkit.trained import load

    future = load(arguments.run, arguments.device).forecast(arguments.data, arguments.known, arguments.horizon)
    written = [str(future.write(arguments.output))] if arguments.output else []
    written += [str(future.plot(arguments.plot))] if arguments.plot else []
    if arguments.json:
        print(json.dumps(future.answers, indent=2, ensure_ascii=False))
        return
    columns = future.table(brief=True)
    rows = list(zip(*columns.values(), strict=True))
    if not arguments.output:
        cells = [[f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows[:LINES]]
        print(text_table(list(columns), cells, "written by --output FILE.csv"))
        if len(rows) > LINES:
            print(f"... {len(rows) - LINES:,} more rows; --output FILE.csv writes all")
    if written:
        print(f"{' and '.join(written)}: {len(rows):,} rows of {len(future.answers):,} series")

"""List runs: state, score, steps, age, size.

seqkit runs                     every run in the folder runs
seqkit runs morse 'text/2026*'  those whose NAME, ID or NAME/ID matches
seqkit runs --runs /scratch/me  those in another folder

A run is running, finished, stopped (it has a checkpoint: `seqkit resume RUN` goes on), failed (it was started and has
none) or not started. Its score is the best validation so far. Its age is the time since a file of it was written.
"""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("globs", nargs="*", default=[], metavar="GLOB", help="of NAME/ID, such as 'morse/*'")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs (default: runs)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the runs; those that cannot be read are one line each on stderr."""
    from seqkit.errors import shown
    from seqkit.report.tables import print_table, problem_lines, runs_table
    from seqkit.runs.listing import read_run, runs_in

    found = [read_run(path) for path in runs_in(arguments.runs, arguments.globs)]
    if arguments.json:
        print(json.dumps([one.to_json() for one in found], indent=2))
        return
    if not found:
        print(f"no run in {shown(arguments.runs)} yet; seqkit train makes one")
        return
    print_table(runs_table([one for one in found if one.state != "unreadable"]))
    problem_lines(found)

"""Go on with a run that was stopped or killed, from its last checkpoint, bit for bit."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", type=Path, help="folder of the run, runs/NAME/ID")
    parser.add_argument("--exact", action="store_true", help="refuse where going on cannot be exact to the bit")
    parser.add_argument("--report", action="store_true", help="make the report of a finished run again")
    parser.add_argument("--changed-code", action="store_true", help="go on although the code of a plugin has changed")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Finish the run and show the outcome."""
    from seqkit.experiment import resume
    from seqkit.report.terminal import terminal_summary

    report = resume(arguments.run, arguments.exact, arguments.report, arguments.changed_code)
    print(json.dumps(report, indent=2) if arguments.json else terminal_summary(report))

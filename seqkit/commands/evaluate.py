"""Evaluate a run on a split of its data, beside the baselines: the very numbers of its report."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", type=Path, help="folder of a run (its best checkpoint is taken), or a checkpoint")
    parser.add_argument("--split", choices=("valid", "test"), default="test", help="part to score (default: test)")
    parser.add_argument("--batch-size", type=int, help="samples side by side; changes the speed, not the scores")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: a GPU if there is one"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "data", nargs="*", default=[], metavar="data.OPTION=VALUE", help="such as the place the data moved to"
    )


def run(arguments: argparse.Namespace) -> None:
    """Evaluate and show the scores."""
    from seqkit.report.terminal import score_table
    from seqkit.trained import load

    trained = load(arguments.run, arguments.device)
    scores = trained.evaluate(arguments.split, arguments.batch_size, arguments.data)
    print(json.dumps(scores, indent=2) if arguments.json else score_table(scores, arguments.split))

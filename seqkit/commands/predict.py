"""Predict for new text, tables or recordings: files, folders, rows of a table, or the lines of standard input (-)."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", type=Path, help="folder of a run (its best checkpoint is taken), or a checkpoint")
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="files, folders, - for the lines of standard input, or plain text"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: a GPU if there is one"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write rows with their ids into FILE.csv, FILE.jsonl or FILE.parquet; or, where the task has files of its "
        "own, one of these per input into a folder",
    )
    parser.add_argument("--column", help="INPUT are tables (CSV, TSV, JSONL, Parquet, Excel), inputs this column")
    parser.add_argument("--id", metavar="COLUMN", help="column of these tables that names the rows; default: numbers")
    parser.add_argument("--separator", choices=("comma", "semicolon", "tab", "pipe"), help="of these; default: found")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="changes no prediction; default: 64")
    parser.add_argument("--skip-broken", action="store_true", help="go on after an input that cannot be read")
    parser.add_argument("--json", action="store_true", help="print JSON, one object an input")


def run(arguments: argparse.Namespace) -> None:
    """Predict for each input and show the outcome."""
    from seqkit.errors import ConfigError, DataError, SeqkitError
    from seqkit.inference.answers_file import ENDINGS, write_answers
    from seqkit.trained import load

    if arguments.batch_size < 1:
        raise ConfigError(f"--batch-size {arguments.batch_size}: must be 1 or more")
    trained = load(arguments.run, arguments.device)
    sources = trained.sources(arguments.inputs, arguments.column, arguments.id, arguments.separator)
    if left_out := sources.left_out():
        print(f"seqkit: {left_out:,} files of another kind left out", file=sys.stderr)
    broken: list[str] = []

    def skipped(id: str, error: SeqkitError) -> None:
        broken.append(id)
        print(f"seqkit: left out, {' '.join(str(error).split())}", file=sys.stderr)

    predictions = trained.predict_each(sources, arguments.batch_size, skipped if arguments.skip_broken else None)
    output, count = arguments.output, 0
    if output and output.suffix in ENDINGS:
        count = write_answers(_shown(predictions, sources.count()), trained.spec, output)
        print(f"{output}: {count:,} inputs")
    else:
        printed, names = [], set()
        for id, prediction in predictions:
            count += 1
            if output:
                name = Path(id).stem
                if name in names:
                    raise ConfigError(f"--output: two inputs are called {name}; predict for them one at a time")
                names.add(name)
                prediction = {**prediction, "file": str(trained.write(prediction, output / f"{name}.prediction"))}
            if arguments.json:
                printed.append({"input": id, **prediction})
                continue
            text = prediction["file"] if output else trained.text(prediction)
            print(f"{id}:{'' if text.startswith(chr(10)) else ' '}{text}", flush=True)
        if arguments.json:
            print(json.dumps(printed, indent=2, ensure_ascii=False))
    if broken and not count:
        raise DataError(f"none of {len(broken):,} inputs can be read")
    if broken:
        print(f"seqkit: {len(broken):,} of {count + len(broken):,} inputs left out", file=sys.stderr)


def _shown(predictions: Iterable[Any], total: int | None) -> Iterable[Any]:
    """Return the predictions with a progress bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        return predictions
    from rich.console import Console
    from rich.progress import track

    return track(predictions, "predict", total=total, console=Console(stderr=True), transient=True)

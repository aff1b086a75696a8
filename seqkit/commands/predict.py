"""Predict for new inputs of the kind that the run was trained on: text, a CSV or Parquet table, WAV or FLAC files."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", type=Path, help="folder of a run (its best checkpoint is taken), or a checkpoint")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files, or for a language model also plain text")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: a GPU if there is one"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="write each prediction there as a file, where the task has one"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object an input")


def run(arguments: argparse.Namespace) -> None:
    """Predict for each input and show the outcome."""
    from seqkit.errors import ConfigError
    from seqkit.trained import load

    trained = load(arguments.run, arguments.device)
    predictions = trained.predict(arguments.inputs)
    if arguments.output:
        names = [Path(source).stem for source in arguments.inputs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ConfigError(f"--output: two inputs are called {twice}; predict for them one at a time")
        for name, prediction in zip(names, predictions, strict=True):
            prediction["file"] = str(trained.write(prediction, arguments.output / f"{name}.prediction"))
    if arguments.json:
        named = [
            {"input": source, **prediction} for source, prediction in zip(arguments.inputs, predictions, strict=True)
        ]
        print(json.dumps(named, indent=2, ensure_ascii=False))
        return
    for source, prediction in zip(arguments.inputs, predictions, strict=True):
        text = prediction["file"] if arguments.output else trained.text(prediction)
        print(f"{source}:{'' if text.startswith(chr(10)) else ' '}{text}")

"""Write a run's network, from tokens, frames or samples to the head's output, as one file that needs no seqkit.

Beside the file a JSON file says what goes in and comes out, with the vocabulary or scaling. The file takes any batch,
time and lengths, and a state to go on from, and has been compared with the network when this command ends.
"""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", type=Path, help="folder of a run (its best checkpoint is taken), or a checkpoint")
    parser.add_argument(
        "--format",
        choices=("onnx", "torch"),
        default="onnx",
        help="onnx for onnxruntime and others (default), torch for torch.export.load",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="ending in .onnx or .pt2 (default: RUN/export/best.onnx, named after the checkpoint)",
    )
    parser.add_argument("--json", action="store_true", help="print the content of the JSON file")


def run(arguments: argparse.Namespace) -> None:
    """Export and say what was written."""
    from collections import Counter

    from seqkit.errors import shown
    from seqkit.trained import load

    facts = load(arguments.run, "cpu").export(arguments.output, arguments.format)
    if arguments.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    layers = ", ".join(f"{count} x {how}" for how, count in Counter(facts["layers"]).items())
    checked = "not checked, as onnxruntime is not installed"
    if facts["difference"] is not None:
        checked = f"differs from the network by at most {facts['difference']:.1e} on random batches"
    print(f"{shown(Path(facts['file']))}: {layers}; {checked}")

"""Show what surprises a language model: a text, each token coloured by its loss."""

import argparse
import json
import sys
from pathlib import Path

SHADES = (  # of the terminal's 256 colours, from white to red; each stands for two bits more
    "\033[30;48;5;231m",
    "\033[30;48;5;224m",
    "\033[30;48;5;217m",
    "\033[30;48;5;210m",
    "\033[30;48;5;203m",
    "\033[30;48;5;196m",
)
BITS_A_SHADE = 2
PLAIN = "\033[0m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", type=Path, help="folder of a run (its best checkpoint is taken), or a checkpoint")
    parser.add_argument("text", help="a UTF-8 file, or the text itself")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: a GPU if there is one"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object a token: its text and its bits")


def run(arguments: argparse.Namespace) -> None:
    """Print each token: in a terminal coloured, else on a line of its own with its bits."""
    from math import log

    from seqkit.trained import load

    trained = load(arguments.run, arguments.device)
    coloured, total, characters = sys.stdout.isatty() and not arguments.json, 0.0, 0
    for token, nats in trained.surprise(arguments.text):
        bits = None if nats is None else nats / log(2)
        if arguments.json:
            print(json.dumps({"token": token, "bits": bits}, ensure_ascii=False))
        elif coloured:
            shade = "" if bits is None else SHADES[min(int(bits / BITS_A_SHADE), len(SHADES) - 1)]
            print(token if token.isspace() else f"{shade}{token}{PLAIN}", end="")
        else:
            print(f"{'-' if bits is None else f'{bits:.3f}'}\t{token!r}")
        if bits is not None:
            total, characters = total + bits, characters + len(token)
    if coloured and characters:
        legend = " ".join(f"{shade} {number * BITS_A_SHADE}+ {PLAIN}" for number, shade in enumerate(SHADES))
        print(f"\n\nbits: {legend}   {total / characters:.4g} bits per character, {characters:,} characters")

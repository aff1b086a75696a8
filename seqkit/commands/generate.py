"""Continue a text with a language model."""

import argparse
import json
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", type=Path, help="folder of a run (its best checkpoint is taken), or a checkpoint")
    parser.add_argument("prompt", nargs="?", default="", help="text to continue (default: none)")
    parser.add_argument("--length", type=int, default=500, help="tokens to add (default: 500)")
    parser.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest token (default: 0.8)")
    parser.add_argument("--top-k", type=int, help="draw among the K likeliest tokens only")
    parser.add_argument("--top-p", type=float, default=1.0, help="draw among the likeliest that add up to P only")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT", help="stop before it; may be repeated")
    parser.add_argument("--samples", type=int, default=1, help="texts to write, with seeds that count up (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="of the draws (default: 1)")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: a GPU if there is one"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object a text")


def run(arguments: argparse.Namespace) -> None:
    """Print the prompt and what follows it, once for each sample; in a terminal as it is written."""
    from seqkit.errors import ConfigError
    from seqkit.trained import load

    if arguments.samples < 1:
        raise ConfigError(f"--samples={arguments.samples}: give 1 text or more to write")
    trained = load(arguments.run, arguments.device)
    write = _show if sys.stdout.isatty() and not arguments.json else None
    for seed in range(arguments.seed, arguments.seed + arguments.samples):
        if arguments.samples > 1 and not arguments.json:
            print(f"--- seed {seed}", flush=True)
        text = trained.generate(
            arguments.prompt,
            arguments.length,
            arguments.temperature,
            arguments.top_k,
            arguments.top_p,
            seed,
            arguments.stop,
            write,
        )
        if arguments.json:
            print(json.dumps({"prompt": arguments.prompt, "seed": seed, "text": text}))
        else:
            print("" if write else text)


def _show(piece: str) -> None:
    print(piece, end="", flush=True)

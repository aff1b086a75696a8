"""Find a learning rate: the loss of a short training while the rate grows from step to step.

  seqkit lr-find experiment=morse
  seqkit lr-find experiment=text data.path=book.txt model=gru --steps 200 --output rates.png

What stands on the command line is what `seqkit train` takes. A network of its own is trained and thrown away: nothing
is written but the curve. The suggestion is the rate around which the smoothed loss falls most.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from seqkit.errors import ConfigError

TAKES_OVERRIDES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.usage = "%(prog)s [GROUP=NAME | GROUP.OPTION=VALUE ...] [--from RATE] [--to RATE] [--steps N] ..."
    parser.add_argument("--from", dest="start", type=float, default=1e-6, help="first learning rate (default: 1e-6)")
    parser.add_argument("--to", dest="end", type=float, default=1.0, help="last learning rate (default: 1)")
    parser.add_argument("--steps", type=int, default=100, help="optimizer steps (default: 100)")
    parser.add_argument(
        "--output", type=Path, default=Path("lr_find.png"), help="file of the curve: .png, .svg or .pdf"
    )
    parser.add_argument("--json", action="store_true", help="print rates and losses as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Test rates, draw the curve and print the suggestion."""
    from seqkit.data.loading import set_up
    from seqkit.estimate import refuse_if_too_large
    from seqkit.hydra_cli import compose
    from seqkit.hydra_cli.words import refuse_flags
    from seqkit.network import device_of
    from seqkit.registry import build
    from seqkit.report.figures import FORMATS, rate_curve, save
    from seqkit.runs.log import quiet_lightning
    from seqkit.runs.refusals import reading_of_data
    from seqkit.training.rates import range_test

    output = arguments.output
    refuse_flags(arguments.overrides, "lr-find")
    if not 0 < arguments.start < arguments.end:
        raise ConfigError(f"--from {arguments.start:g} --to {arguments.end:g}: give two rates above 0, the lower first")
    if arguments.steps < 20:
        raise ConfigError(f"--steps {arguments.steps}: give at least 20, or the curve says nothing")
    if output.suffix not in FORMATS or not output.absolute().parent.is_dir():
        raise ConfigError(f"--output {output}: give a file in a folder that is there, ending in {', '.join(FORMATS)}")
    config = compose(arguments.overrides)
    data = build("data", config["data"])
    with reading_of_data():
        set_up(data)
    refuse_if_too_large(config, data, device_of(config["trainer"]["accelerator"]))
    quiet_lightning()
    test = range_test(config, data, arguments.start, arguments.end, arguments.steps)
    rate = float(f"{test.rates[test.steepest]:.2g}")
    save(rate_curve(test.rates, test.losses, test.smoothed, rate), output)
    if arguments.json:
        facts: dict[str, Any] = {"suggested": rate, "lowest": test.rates[test.lowest], "diverged": test.diverged}
        print(json.dumps({**facts, "rates": test.rates, "losses": test.losses}, indent=2))
        return
    end = f"diverges at {test.rates[-1]:.2g}" if test.diverged else f"does not diverge up to {test.rates[-1]:.2g}"
    print(
        f"optimizer.lr={rate:g}: around it the loss falls most; it is lowest at {test.rates[test.lowest]:.2g} and "
        f"{end} ({output})"
    )

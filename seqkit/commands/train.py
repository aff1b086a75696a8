"""Train a model.

  seqkit train                                       the default: a language model of Python's own source
  seqkit train experiment=morse                      a preset; `seqkit list` names them
  seqkit train experiment=adding model=gru model.hidden_size=64 trainer.max_steps=500
  seqkit train experiment=adding model=lstm,gru -m   a sweep: one job for each combination
  seqkit train experiment=morse --cfg job            show the config, train nothing

GROUP=NAME chooses a component, GROUP.OPTION=VALUE sets one of its options; `seqkit describe model=gru` names them.
The flags of Hydra work too (-m, --cfg job, --config-dir DIR, --info defaults).
"""

import argparse
import json
import sys
from pathlib import Path

from seqkit.config import Config
from seqkit.errors import ConfigError
from seqkit.hydra_cli import hydra_main
from seqkit.hydra_cli.words import key_of, typed_words
from seqkit.sweeping.job import Flags

TAKES_OVERRIDES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.usage = "seqkit train [GROUP=NAME | GROUP.OPTION=VALUE ...] [-m] [--fresh] [--exact] [--json] ..."
    parser.add_argument("--fresh", action="store_true", help="start over where the run's id exists already")
    parser.add_argument("--exact", action="store_true", help="refuse to go on with a run where that cannot be exact")
    parser.add_argument(
        "--changed-code", action="store_true", help="go on with a run although the code of a plugin has changed"
    )
    parser.add_argument("--resume", metavar="SWEEP", help="with -m: go on with a sweep, by its id or folder")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Train one run, or each job of a sweep, and show the outcome."""
    from seqkit.experiment import train
    from seqkit.ranks import group
    from seqkit.report.terminal import terminal_summary
    from seqkit.sweeping.sweep import Sweep

    flags = Flags(arguments.fresh, arguments.exact, arguments.changed_code)

    def job(config: Config, overrides: list[str]) -> None:
        named = any(key_of(word).partition(".")[0] in ("data", "experiment") for word in overrides)
        if not named and "--config-name" not in typed_words(arguments.overrides)[1] and group().first:
            print(
                f"seqkit: no experiment is named: training the default one, data={config['data']['name']} "
                f"model={config['model']['name']}. `seqkit list` names others, for seqkit train experiment=NAME",
                file=sys.stderr,
            )
        report = train(config, flags.fresh, flags.exact, flags.changed_code)
        print(json.dumps({**report, "overrides": overrides}, indent=2) if arguments.json else terminal_summary(report))

    if arguments.resume is not None:
        return _resume(arguments, flags)
    with Sweep(arguments.overrides, flags, arguments.json) as sweep:
        hydra_main(arguments.overrides, job, sweep)
        return sweep.close() if sweep.is_open else 0


def _resume(arguments: argparse.Namespace, flags: Flags) -> int:
    """Go on with a sweep as its ledger describes it."""
    from seqkit.files import working_in
    from seqkit.runs.provenance import provide
    from seqkit.runs.sweep import TRAIN, Ledger, find_sweep
    from seqkit.sweeping.sweep import Sweep

    others = [word for word in arguments.overrides if word not in ("-m", "--multirun")]
    if others or arguments.fresh:
        raise ConfigError(
            f"--resume goes on with the sweep as it is; leave out {' '.join(others) or '--fresh'}, or train a new one"
        )
    ledger = Ledger.read(find_sweep(arguments.resume))
    if ledger.command != TRAIN:
        raise ConfigError(f"--resume {arguments.resume}: goes on by `{ledger.again}`")
    if reason := provide(ledger.components):
        raise ConfigError(reason)
    with working_in(Path(ledger.started_in)), Sweep(ledger.words, flags, arguments.json, ledger.path) as sweep:
        hydra_main(ledger.words, _no_job, sweep)
        return sweep.close()


def _no_job(config: Config, overrides: list[str]) -> None:
    raise AssertionError(config)

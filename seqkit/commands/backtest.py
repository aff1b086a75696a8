"""Backtest: forecast from several origins in the past and compare with what came, beside the baselines.

seqkit backtest experiment=forecast data.path=my.csv data.time_column=date    one training, 5 origins
seqkit backtest experiment=sea_temperature --origins 10 --refit               a training before each origin
seqkit backtest experiment=sea_temperature --refit --window 4000              each on the last 4,000 rows alone
seqkit backtest --resume ID                                                   go on with one that was stopped

What stands on the command line is what `seqkit train` takes. The origins lie evenly over the test part; from each the
next data.horizon rows are forecast. Every training is a run of its own, which sees nothing from its origin on: the
validation part ends there. Tables, figure and JSON are in runs/sweeps/ID.
"""

import argparse
import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from seqkit.errors import ConfigError, shown

TAKES_OVERRIDES = True
COMMAND = "backtest"
"""As the ledger names it."""
ORIGINS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.usage = "%(prog)s [GROUP=NAME | GROUP.OPTION=VALUE ...] [--origins N] [--refit [--window ROWS]] ..."
    parser.add_argument("--origins", type=int, metavar="N", help=f"forecasts to make (default: {ORIGINS})")
    parser.add_argument("--refit", action="store_true", help="train anew before each origin, on all rows before it")
    parser.add_argument("--window", type=int, metavar="ROWS", help="with --refit: on the last rows before it alone")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="trainings side by side (default: 1)")
    parser.add_argument("--resume", metavar="ID", help="go on with a backtest, by its id or folder")
    parser.add_argument("--fresh", action="store_true", help="start over where the id exists already")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Train what is to be trained, forecast, print the tables; return 1 where a training failed."""
    from seqkit.hydra_cli import compose
    from seqkit.sweeping.backtest import refuse_if_no_forecast

    if arguments.resume is not None:
        return _resume(arguments)
    arguments.origins = ORIGINS if arguments.origins is None else arguments.origins
    _refuse(arguments)
    config = compose(arguments.overrides)
    refuse_if_no_forecast(config, arguments.origins, arguments.window)
    return _backtest(arguments, config, None)


def _backtest(arguments: argparse.Namespace, config: dict[str, Any], folder: Path | None) -> int:
    """Run a backtest, a new one or that of a folder."""
    from seqkit.hydra_cli import compose
    from seqkit.report.backtest import backtest_json, backtest_text
    from seqkit.sweeping.backtest import backtest, trainings
    from seqkit.sweeping.job import Flags
    from seqkit.sweeping.runners import Here, Processes, refuse_on_ranks
    from seqkit.sweeping.sweep import Sweep

    refuse_on_ranks()
    words = _words(arguments)
    jobs = trainings(arguments.overrides, arguments.origins, arguments.refit, arguments.window)
    runner = Processes(arguments.jobs) if arguments.jobs > 1 else Here()
    with Sweep([*words, *arguments.overrides], Flags(arguments.fresh), path=folder, command=COMMAND) as sweep:
        sweep.open(config["runs"], config["id"])

        def composed(number: int, overrides: list[str]) -> dict[str, Any]:
            with redirect_stderr(io.StringIO()):  # what the same preset says every time
                return compose(overrides)

        done = sweep.run(jobs, composed, runner)
        if not all(job.state == "finished" for job in done):
            return sweep.close()
        runs = [sweep.ledger.run_of(job).path for job in done]
        facts = backtest(runs, arguments.origins, sweep.ledger, config["trainer"]["accelerator"])
    print(backtest_json(facts) if arguments.json else backtest_text(facts))
    if not arguments.json:
        print(f"\nbacktest: {shown(sweep.ledger.path)}  ({', '.join(facts['files'])})")
    return 0


def _resume(arguments: argparse.Namespace) -> int:
    """Go on with a backtest as its ledger describes it."""
    from seqkit.files import working_in
    from seqkit.hydra_cli import compose
    from seqkit.runs.provenance import provide
    from seqkit.runs.sweep import Ledger, find_sweep

    others = [*arguments.overrides, *["--fresh"] * arguments.fresh, *_words(arguments)]
    if others:
        raise ConfigError(f"--resume goes on with the backtest as it is; leave out {' '.join(others)}")
    ledger = Ledger.read(find_sweep(arguments.resume))
    if ledger.command != COMMAND:
        raise ConfigError(f"--resume {arguments.resume}: no backtest; go on by `{ledger.again}`")
    if reason := provide(ledger.components):
        raise ConfigError(reason)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    saved, overrides = parser.parse_known_args(ledger.words)
    saved.overrides, saved.jobs, saved.json = overrides, arguments.jobs, arguments.json
    with working_in(Path(ledger.started_in)):
        return _backtest(saved, compose(overrides), ledger.path)


def _words(arguments: argparse.Namespace) -> list[str]:
    """Return the flags that say which trainings there are, as they were given."""
    values = {name: getattr(arguments, name) for name in ("origins", "window")}
    given = [f"--{name}={value}" for name, value in values.items() if value is not None]
    return [*given, *["--refit"] * arguments.refit]


def _refuse(arguments: argparse.Namespace) -> None:
    """Refuse what the command line cannot mean."""
    from seqkit.hydra_cli.words import refuse_flags

    refuse_flags(arguments.overrides, "backtest")
    for name in ("origins", "window", "jobs"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} {value}: give at least 1")
    if arguments.window and not arguments.refit:
        raise ConfigError("--window says how many rows each training of --refit reads; say --refit too")

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
from typing import Any

from seqkit.config import Config
from seqkit.hydra_cli import hydra_main

TAKES_OVERRIDES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.usage = "seqkit train [GROUP=NAME | GROUP.OPTION=VALUE ...] [-m] [--fresh] [--exact] [--json] ..."
    parser.add_argument("--fresh", action="store_true", help="start over where the run's id exists already")
    parser.add_argument("--exact", action="store_true", help="refuse to go on with a run where that cannot be exact")
    parser.add_argument(
        "--changed-code", action="store_true", help="go on with a run although the code of a plugin has changed"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Train one job, or each job of a sweep, and show the outcome."""
    from seqkit.experiment import train
    from seqkit.report.terminal import sweep_table, terminal_summary
    from seqkit.runs.folder import new_id

    reports: list[dict[str, Any]] = []
    sweep = new_id()

    def job(config: Config, number: str, overrides: list[str]) -> None:
        if number:
            config = {**config, "id": f"{config['id'] or sweep}-{number}"}
        report = train(config, arguments.fresh, arguments.exact, arguments.changed_code)
        reports.append({**report, "overrides": overrides})
        if not arguments.json:
            print(terminal_summary(report))

    # A sweep with Hydra's own launcher runs its jobs here, one after another.
    hydra_main(arguments.overrides, job)
    if arguments.json:
        print(json.dumps(reports[0] if len(reports) == 1 else reports, indent=2))
    elif len(reports) > 1:
        print(sweep_table(reports))
    return 0

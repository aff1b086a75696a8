"""Go on with a run that was stopped or killed, from its last checkpoint, bit for bit; or train it longer.

  seqkit resume runs/morse/a                            to its end
  seqkit resume runs/morse/a trainer.max_steps=4000     longer, be it finished or not
  seqkit resume runs/morse/a trainer.max_epochs=20 trainer.val_check_interval=500

Other options that may change: trainer.early_stopping_patience, checkpoint_every_n_steps, log_every_n_steps,
num_workers; and those of where it is trained: devices, num_nodes, strategy, timeout, max_time, requeue,
keep_checkpoints, dry_run. What changed, when and at which step, stands in config.json and in the report.
"""

import argparse
import json
from pathlib import Path

TAKES_OVERRIDES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.usage = "%(prog)s RUN [trainer.OPTION=VALUE ...] [--exact] [--report] [--changed-code] [--json]"
    parser.add_argument("run", type=Path, help="folder of the run, runs/NAME/ID")
    parser.add_argument("--exact", action="store_true", help="refuse where going on cannot be exact to the bit")
    parser.add_argument("--report", action="store_true", help="make the report of a finished run again")
    parser.add_argument("--changed-code", action="store_true", help="go on although the code of a plugin has changed")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Finish the run and show the outcome."""
    from seqkit.experiment import resume
    from seqkit.hydra_cli.words import refuse_flags
    from seqkit.report.terminal import terminal_summary

    changes = arguments.overrides
    refuse_flags(changes, "resume")
    report = resume(arguments.run, arguments.exact, arguments.report, arguments.changed_code, changes)
    print(json.dumps(report, indent=2) if arguments.json else terminal_summary(report))

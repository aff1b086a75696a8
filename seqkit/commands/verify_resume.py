"""Prove that a training of yours goes on exactly after a kill: train a few steps whole, then killed and started again.

seqkit verify-resume experiment=morse model=gru           one kill at each kind of moment
seqkit verify-resume experiment=morse --kills 20          as many at random moments
seqkit verify-resume --points "step=5;validation=last"    at these; --help names the moments
seqkit verify-resume --plugin mgu.py model=mgu trainer.precision=bf16-mixed trainer.num_workers=2

It takes what `seqkit train` takes. Data, model, precision, workers and devices stay yours; the training is cut to
--steps, with validations and checkpoints in between. Compared to the bit are weights, optimizer, schedule, loops,
random generators, carried state, best checkpoint, metrics and scores. Ends with 1 where something differs.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqkit.interrupting import MOMENTS

TAKES_OVERRIDES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.usage = "%(prog)s [GROUP=NAME | GROUP.OPTION=VALUE ...] [--steps N] [--points LIST | --kills N] ..."
    width = max(map(len, MOMENTS))
    moments = "\n".join(f"  {moment:<{width}}  {what}" for moment, what in MOMENTS.items())
    parser.epilog = f"moments:\n{moments}\n\n{parser.epilog}"
    parser.add_argument("--steps", type=int, default=12, help="optimizer steps to train for (default: 12)")
    parser.add_argument(
        "--points", metavar="LIST", help="moments separated by ';', each MOMENT[=VALUE][,nth=N][,rank=R] or SIGNAL@..."
    )
    parser.add_argument("--kills", type=int, metavar="N", help="N random moments instead, drawn from the run's seed")
    parser.add_argument(
        "--signals", metavar="LIST", help="what is sent at a moment without a signal of its own (default: SIGKILL)"
    )
    parser.add_argument("--no-report", action="store_true", help="make and compare no report, where that takes long")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="trainings side by side (default: 1)")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the runs")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Verify, print a table and the first difference; return 1 where there is one."""
    from seqkit.hydra_cli import compose
    from seqkit.verifying import Options, Verification

    _refuse(arguments)
    overrides = _shortened(arguments.overrides, arguments.steps)
    config = compose(overrides)
    points = _points(arguments, config)
    for line in impossible_reasons(config):
        print(f"seqkit: not exact by itself: {line}", file=sys.stderr)
    runs = Path(config["runs"]).expanduser().absolute()
    there = runs.is_dir()
    runs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".verify-", dir=runs))
    keep = arguments.keep
    try:
        options = Options(points, folder, arguments.jobs, arguments.keep, not arguments.no_report)
        elsewhere = [word for word in overrides if not word.startswith("runs=")]
        different = _verify(Verification(elsewhere, config, options), arguments.json)
        keep = keep or different
    finally:
        if keep:
            print(f"seqkit: the runs are in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            if not there and not any(runs.iterdir()):
                runs.rmdir()
    return 1 if different else 0


def impossible_reasons(config: dict[str, Any]) -> list[str]:
    """Return what is known to keep a training from being repeated to the bit, whether it is interrupted or not."""
    from seqkit.network import device_of

    trainer = config["trainer"]
    on_gpu = device_of(trainer["accelerator"]).type == "cuda"
    if on_gpu and not trainer["deterministic"]:
        return [
            "on a GPU the backward passes of cuDNN and of CTC add in any order; trainer.deterministic=true refuses "
            "what cannot be reproduced"
        ]
    return []


def _refuse(arguments: argparse.Namespace) -> None:
    """Refuse what the command line cannot mean."""
    from seqkit.errors import ConfigError
    from seqkit.hydra_cli.words import refuse_flags
    from seqkit.ranks import place_here

    starter = place_here().starter
    if starter != "nobody":
        raise ConfigError(
            f"verify-resume starts its ranks itself, by trainer.devices=N: run it once on one node of the allocation, "
            f"not by {starter}"
        )
    refuse_flags(arguments.overrides, "verify-resume")
    if arguments.points and arguments.kills is not None:
        raise ConfigError("--points says the moments and --kills draws them; give one of the two")
    for name, least in (("steps", 1), ("jobs", 1), ("kills", 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise ConfigError(f"--{name} {value}: give at least {least}")


def _shortened(overrides: list[str], steps: int) -> list[str]:
    """Return overrides of a training of a few steps, with validations and checkpoints in between."""
    from seqkit.hydra_cli.words import key_of
    from seqkit.verifying.points import intervals

    validation, checkpoint = intervals(steps)
    own = {
        "trainer.max_steps": steps, "trainer.max_epochs": "null", "trainer.val_check_interval": validation,
        "trainer.checkpoint_every_n_steps": checkpoint, "trainer.log_every_n_steps": 1, "trainer.limit_val_batches": 2,
        "trainer.early_stopping_patience": "null", "logger": "null",
    }  # fmt: skip
    keys = [*own, "id"]
    theirs = [word for word in overrides if key_of(word) not in keys and not key_of(word).startswith("logger.")]
    return [*theirs, *(f"{key}={value}" for key, value in own.items())]


def _points(arguments: argparse.Namespace, config: dict[str, Any]) -> list[str]:
    from seqkit.errors import ConfigError
    from seqkit.ranks import place_here, wanted_ranks
    from seqkit.verifying import KILL, default_points, random_points, with_signals
    from seqkit.verifying.points import REPORT

    if config["trainer"]["num_nodes"] > 1:
        raise ConfigError(
            "verify-resume runs on one node: leave trainer.num_nodes=1, and say its ranks by trainer.devices"
        )
    ranks = wanted_ranks(config["trainer"], place_here())
    signals = [name.strip() for name in (arguments.signals or KILL).split(",")]
    if arguments.points:
        points = [point.strip() for point in arguments.points.split(";") if point.strip()]
    elif arguments.kills is not None:
        points = random_points(config, ranks, arguments.kills)
    else:
        points = default_points(config, ranks)
        if arguments.signals:
            points = [point for point in points if "@" not in point]
        if arguments.no_report:
            points.remove(REPORT)
    return with_signals(points, signals)


def _verify(verification: Any, as_json: bool) -> bool:
    """Train, print the outcomes as they come, and return whether anything differs."""
    points = verification.options.points
    if not as_json:
        print(f"{len(points)} interruptions; first the training without any", flush=True)
    seconds = verification.train_whole()
    if not as_json:
        width = max(map(len, points))
        print(f"{'interrupted by':<{width}}  {'ended by':<13}  {'went on from':<12}  outcome", flush=True)
    outcomes = []
    for outcome in verification.outcomes():
        outcomes.append(outcome)
        if not as_json:
            print(_line(outcome, width), flush=True)
    different = [outcome for outcome in outcomes if outcome.difference]
    tried = sum(outcome.reached for outcome in outcomes)
    by_itself = verification.difference_of_two_whole_runs() if different else ""
    if as_json:
        facts = {"equal": not different, "tried": tried, "seconds": round(seconds, 1), "whole_runs_differ": by_itself}
        print(json.dumps({**facts, "points": [asdict(outcome) for outcome in outcomes]}, indent=2))
        return bool(different)
    print(f"{tried} of {len(points)} tried: {_all_equal(tried) if not different else f'{len(different)} differ'}")
    if different:
        print(f"first difference ({different[0].point}): {different[0].difference}")
    if by_itself:
        print(f"two trainings without any interruption differ too, so it is not the resume: {by_itself}")
    return bool(different)


def _all_equal(tried: int) -> str:
    return "all bit-equal" if tried else "nothing was compared"


def _line(outcome: Any, width: int) -> str:
    if not outcome.reached:
        return f"{outcome.point:<{width}}  not reached in this training"
    start = "the start" if outcome.step is None else f"step {outcome.step}"
    result = "differs" if outcome.difference else "bit-equal"
    return f"{outcome.point:<{width}}  {outcome.ended:<13}  {start:<12}  {result}"

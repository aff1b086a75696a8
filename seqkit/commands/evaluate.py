"""Evaluate a run on a split of its data, beside the baselines: the very numbers of its report."""

import argparse
import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", type=Path, help="folder of a run (its best checkpoint is taken), or a checkpoint")
    parser.add_argument("--split", choices=("valid", "test"), default="test", help="part to score (default: test)")
    parser.add_argument("--batch-size", type=int, help="samples side by side; changes the speed, not the scores")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: a GPU if there is one"
    )
    parser.add_argument(
        "--devices", type=int, metavar="N", help="processes, each with its own GPU or part of the cores; same scores"
    )
    parser.add_argument("--cache", type=int, metavar="N", help="also score a language model with a cache of N tokens")
    parser.add_argument(
        "--dynamic",
        type=int,
        metavar="N",
        help="also score a language model that learns from each N tokens it has read",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "data", nargs="*", default=[], metavar="data.OPTION=VALUE", help="such as the place the data moved to"
    )


def run(arguments: argparse.Namespace) -> None:
    """Evaluate, in as many processes as asked for or started, and show the scores."""
    from seqkit.errors import ConfigError
    from seqkit.ranks import group
    from seqkit.ranks.parts import ask
    from seqkit.report.terminal import score_table

    place, devices = group().place, arguments.devices
    names = ("device", "split", "batch_size", "cache", "dynamic")
    wanted = {name: getattr(arguments, name) for name in names} | {"path": str(arguments.run), "data": arguments.data}
    if devices is not None and devices < 1:
        raise ConfigError(f"--devices {devices}: must be 1 or more")
    if arguments.dynamic is not None and (devices or 1) > 1:
        raise ConfigError("--dynamic reads one text in its order, so it runs in one process; leave out --devices")
    if place.starter == "nobody" and (devices or 1) > 1:
        scores = _launched(wanted, devices)
    elif devices in (None, place.local_size):
        if place.starter != "nobody":
            ask(work, **wanted)
        scores = work(**wanted)
    else:
        raise ConfigError(f"--devices {devices}: {place.starter} started {place.local_size} here; leave it out")
    print(json.dumps(scores, indent=2) if arguments.json else score_table(scores, arguments.split))


def work(
    path: str,
    device: str,
    split: Any,
    batch_size: int | None,
    data: list[str],
    cache: int | None = None,
    dynamic: int | None = None,
    result: str = "",
) -> dict[str, Any]:
    """Score one rank's share and return the scores of all.

    Args:
        path: Of the run or the checkpoint.
        device: "auto", "cpu" or "gpu".
        split: "valid" or "test".
        batch_size: Over all ranks; None is that of training.
        data: Overrides.
        cache: Tokens that a neural cache remembers; None is none.
        dynamic: Tokens after each of which the weights change in dynamic evaluation; None is none.
        result: File for the scores, which rank 0 writes; "" for none.
    """
    from seqkit.ranks import group
    from seqkit.trained import load

    if not group().first:
        logging.getLogger("seqkit").setLevel(logging.ERROR)  # rank 0 says it
    scores = load(path, device).evaluate(split, batch_size, data, cache, dynamic)
    if group().first and result:
        Path(result).write_text(json.dumps(scores))
    return scores


def _launched(wanted: dict[str, Any], size: int) -> dict[str, Any]:
    """Evaluate in ranks that are processes of their own on this machine."""
    from seqkit.ranks.launch import failure, launch
    from seqkit.runs.provenance import components, remember
    from seqkit.trained import load

    log = logging.getLogger("seqkit")
    level = log.level
    log.setLevel(logging.ERROR)  # rank 0 says it
    remember(components(load(wanted["path"], "cpu").config))  # plugins of this command, for the ranks
    log.setLevel(level)
    folder = Path(tempfile.mkdtemp(prefix="seqkit-evaluate-"))
    result, logs = folder / "scores.json", [folder / f"rank-{rank}.log" for rank in range(size)]
    end = launch(work, {**wanted, "result": str(result)}, size, logs)
    if end is None:
        scores = json.loads(result.read_text())
        shutil.rmtree(folder)
        return scores
    raise failure(end, logs)

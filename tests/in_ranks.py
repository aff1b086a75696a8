"""Many small trainings in one group of ranks, which are started once: real processes, connected by gloo."""

import json
import os
from contextlib import suppress
from pathlib import Path

import torch

from seqkit.data.loading import set_up
from seqkit.ranks import group
from seqkit.ranks.launch import launch
from seqkit.registry import build
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder
from seqkit.runs.metadata import metadata
from seqkit.training.fit import fit
from seqkit.training.loggers import Loggers

REPOSITORY = Path(__file__).parents[1]


class Ended(Exception):  # noqa: N818
    """Stands for the end of the processes, on all ranks at once."""


class Losses(Loggers):
    """Keeps the losses of the training steps and of the validations, in their order; ends the training at a step.

    Args:
        stop: Step at which it ends, before that step's checkpoint; None to let it end by itself.
    """

    def __init__(self, stop=None):
        super().__init__(None)
        self.stop, self.found = stop, []

    def log_metrics(self, metrics, step):
        self.found += [metrics[name] for name in ("train/loss", "valid/loss") if name in metrics]
        if step == self.stop:
            raise Ended


def losses(config, folder, stop=None):
    """Train a run, or go on with it, and return its losses.

    Args:
        config: Checked.
        folder: Of the run; its last checkpoint is gone on from where there is one.
        stop: See ``Losses``.
    """
    data = build("data", config["data"])
    set_up(data)
    run = RunFolder(Path(folder))
    last = Checkpoint.read(run.last) if run.last.exists() else None
    if group().first and last is None:
        run.path.mkdir(parents=True)
        run.write_config(config, data.spec)
    group().barrier()
    loggers = Losses(stop)
    with suppress(Ended):
        fit(config, data, run, metadata(config, data), last, loggers, False)
    return loggers.found


def part(jobs, results):
    """Do one rank's part of trainings, and write the losses that rank 0 has logged, or what was raised, as JSON."""
    torch.set_num_threads(1)
    found = []
    for job in jobs:
        found.append(losses(**job))
        if group().first:
            Path(results).write_text(json.dumps(found))


def losses_on_ranks(jobs, size, folder, monkeypatch):
    """Return the losses of trainings on ranks of their own; each job holds the arguments of ``losses``."""
    results = folder / "losses.json"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    end = launch(part, {"jobs": jobs, "results": str(results)}, size, [folder / f"{rank}.log" for rank in range(size)])
    assert end is None, end
    return json.loads(results.read_text())

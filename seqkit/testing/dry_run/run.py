"""The dry run of a training, from its data to its report."""

import gc
import random
import warnings
from typing import Any

import numpy as np
import torch

from seqkit.config import Config
from seqkit.contracts.batch import Batch
from seqkit.contracts.components import Data
from seqkit.network import assemble
from seqkit.process_state import left_alone
from seqkit.rng import get_rng, set_rng
from seqkit.runs.checkpoint import Checkpoint
from seqkit.testing.dry_run.report import try_report
from seqkit.testing.dry_run.scores import try_scores
from seqkit.testing.dry_run.state import try_checkpoint
from seqkit.testing.dry_run.steps import NETWORK, try_steps
from seqkit.testing.dry_run.trial import Trial

ROWS = 4  # of the first training batch
REPORTED = ("data", "inputs", "task", "head")  # kinds that a report is made by


def dry_run(
    config: Config, data: Data, device: torch.device, metadata: dict[str, Any], last: Checkpoint | None = None
) -> None:
    """Try every part of a training once, on a few samples and a network of its own.

    It costs about two training steps and an evaluation of a few samples; where there are plugins, which nobody has
    tested, about ten steps, and the cheap checks of the conformance suite. Nothing of it is left: no file, and every
    random generator as it was.

    Args:
        config: Of the run, checked.
        data: Set up.
        device: To train on.
        metadata: Of its checkpoints.
        last: The one that it goes on from.

    Raises:
        PluginError: A part fails, or does what a training must not; the message names component, file and line.
    """
    before = get_rng()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they will come again, from the training
            trial = Trial(config, data, device)
            with left_alone(", ".join(trial.plugins.values())):
                _try(trial, metadata, last)
    finally:
        set_rng(before)
        if device.type == "cuda":  # the optimizer and its schedule refer to each other, and hold on to the memory
            gc.collect()
            torch.cuda.empty_cache()


def _try(trial: Trial, metadata: dict[str, Any], last: Checkpoint | None) -> None:
    if trial.plugins:
        from seqkit.testing.dry_run import checks
        from seqkit.testing.randomness import seeding_reason
    batch = _first_batch(trial)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(trial.config["seed"])
    with trial.part(*NETWORK, doing="building it"):
        network = assemble(trial.config, trial.data.spec).to(trial.device)
        if trial.has_plugin(*NETWORK):
            reason = seeding_reason(lambda: assemble(trial.config, trial.data.spec))
            if reason:
                raise trial.refuse(*NETWORK, reason=f"building it {reason}")
    if trial.has_plugin("data"):
        checks.check_data(trial, network, batch)
    saved = try_steps(trial, network, batch)
    metric = try_scores(trial, network)
    if trial.plugins:
        checks.check_components(trial, network, batch)
        try_checkpoint(trial, saved, metadata)
    if trial.has_plugin(*REPORTED):
        try_report(trial, network, metric)
    if last:
        saved.restore(trial, last.content)


def _first_batch(trial: Trial) -> Batch:
    """Return a few samples of the first training batch, on the device of the training."""
    data = trial.data
    with trial.part("data", doing="reading the train part"):
        part: Any = data.part("train")
        samples = [part[index] for index in trial.train_order[0][:ROWS]]
    with trial.part("data", doing="collate"):
        batch = data.collate(samples)
    if not isinstance(batch, Batch):
        raise trial.refuse("data", reason=f"collate returned {type(batch).__name__}; return a seqkit.Batch")
    return batch.to(trial.device)

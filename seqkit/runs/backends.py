"""The backends of a run: measured at its start, or those that its checkpoint names."""

import logging
import os
from typing import Any

import torch

from seqkit.config import Config
from seqkit.contracts.components import Data
from seqkit.data.ordering import rows_of_rank
from seqkit.faults import said
from seqkit.models.backends.choose import Choice, choices_to_json
from seqkit.network import assemble
from seqkit.precision import autocast
from seqkit.ranks import group
from seqkit.rng import get_rng, set_rng
from seqkit.runs.checkpoint import Checkpoint

LOG = logging.getLogger("seqkit")
SHORT = 50  # steps; a shorter training takes the defaults, since measuring would not pay
VARIABLE = "SEQKIT_MEASURE"
"""Environment variable: 0 never measures."""


def backends_of_run(
    config: Config, data: Data, device: torch.device, steps: int, last: Checkpoint | None
) -> list[dict[str, Any]]:
    """Return the choices by measurement for the whole of a run as plain JSON, the same on every rank.

    A run that goes on has those of its checkpoint: exactness goes before speed. For a new one rank 0 measures the first
    batch, on a network of its own, so that nothing of the training is touched.

    Args:
        config: Of the run, checked.
        data: Set up.
        device: To train on.
        steps: Optimizer steps of the whole training.
        last: The checkpoint that it goes on from.
    """
    if last is not None:
        return last.backends
    if steps < SHORT or os.environ.get(VARIABLE) == "0":
        return []
    choices: tuple[Choice, ...] = ()
    if group().first:
        before = get_rng()
        try:
            choices = _measured(config, data, device)
        except Exception as error:  # what is wrong with a part shows in the training, with its place
            LOG.warning("the backends cannot be measured, so the defaults are taken: %s", said(error))
        finally:
            set_rng(before)
    for choice in choices:
        LOG.info("%s: %s, %s", "training" if choice.gradients else "evaluation", choice.label, choice.reason)
    return group().broadcast(choices_to_json(choices))


def _measured(config: Config, data: Data, device: torch.device) -> tuple[Choice, ...]:
    """Return the choices for the first batch of the training; none for a model that has no backends."""
    network = assemble(config, data.spec).requires_grad_()  # what is measured holds for other runs too
    if not hasattr(network.model, "measure_backends"):
        return ()
    ranks, part, precision = group(), data.part("train"), config["trainer"]["precision"]
    rows = data.order("train", data.batch_size, config["seed"], 0)[0]
    batch = data.collate([part[index] for index in rows_of_rank(rows, ranks.rank, ranks.size)]).to(device)
    inputs = batch.inputs
    network.to(device)
    if precision == "64-true":
        network.double()
        inputs = inputs.double() if inputs.is_floating_point() else inputs
    with autocast(precision, device):
        return network.model.measure_backends(*network.frontend(inputs, batch.lengths))

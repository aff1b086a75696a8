"""What a task draws and writes of a network: figures and a text sample, from a few examples of the test split."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from seqkit.contracts.components import Data
from seqkit.contracts.spec import DataSpec, Results
from seqkit.evaluation import NetworkPredictor, on_cpu
from seqkit.network import Network

EXAMPLES = 4  # samples of the test split that figures show, unless the task says how many

Guard = Callable[[str], AbstractContextManager[None]]
"""Makes the context in which a part of the report, named in words, is made."""


def illustrations(
    network: Network, spec: DataSpec, data: Data, metric: Any, guard: Guard
) -> tuple[dict[str, Any], str]:
    """Return the figures of the task by file name without ending, and its text sample, empty where there is none.

    Args:
        network: In evaluation mode.
        spec: Of the data, that the network was built for.
        data: Set up.
        metric: Of the network, over the whole test split.
        guard: In whose contexts each part is made.
    """
    task: Any = spec.task
    figures: dict[str, Any] = {}
    sample = ""
    if hasattr(task, "figures") or hasattr(task, "sample"):
        with guard("examples"):
            batch, prediction = _examples(network, spec, data)
            results = Results(spec, network, metric, batch, prediction)
            with guard("the figures of the task"):
                figures = (task.figures(results) if hasattr(task, "figures") else None) or {}
            with guard("a sample"):
                sample = (task.sample(results) if hasattr(task, "sample") else None) or ""
    return figures, sample


@torch.no_grad()
def _examples(network: Network, spec: DataSpec, data: Data) -> tuple[Any, Any]:
    """Return a few test samples, spread evenly over the split, as one batch, and the prediction for them."""
    part: Any = data.part("test")
    count = min(getattr(spec.task, "examples", EXAMPLES), len(part))
    batch = data.collate([part[int(place)] for place in torch.linspace(0, len(part) - 1, count)])
    predictor = NetworkPredictor(network)
    return batch, on_cpu(predictor(batch.to(predictor.device)))

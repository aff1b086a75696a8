"""What a task draws and writes of a network: figures and a text sample, from a few examples of the test split."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from seqkit.contracts.components import Data
from seqkit.contracts.spec import Results
from seqkit.evaluation import NetworkPredictor
from seqkit.network import Network

EXAMPLES = 4  # samples of the test split that figures show

Guard = Callable[[str], AbstractContextManager[None]]
"""Makes the context in which a part of the report, named in words, is made."""


def illustrations(network: Network, data: Data, metric: Any, guard: Guard) -> tuple[dict[str, Any], str]:
    """Return the figures of the task by file name without ending, and its text sample, empty where there is none.

    Args:
        network: In evaluation mode.
        data: Set up.
        metric: Of the network, over the whole test split.
        guard: In whose contexts each part is made.
    """
    task: Any = data.spec.task
    figures: dict[str, Any] = {}
    sample = ""
    if hasattr(task, "figures") or hasattr(task, "sample"):
        with guard("examples"):
            batch, prediction = _examples(network, data)
            results = Results(data.spec, network, metric, batch, prediction)
            with guard("the figures of the task"):
                figures = (task.figures(results) if hasattr(task, "figures") else None) or {}
            with guard("a sample"):
                sample = (task.sample(results) if hasattr(task, "sample") else None) or ""
    return figures, sample


@torch.no_grad()
def _examples(network: Network, data: Data) -> tuple[Any, Any]:
    """Return a few test samples, spread evenly over the split, as one batch, and the prediction for them."""
    part: Any = data.part("test")
    count = min(EXAMPLES, len(part))
    batch = data.collate([part[int(place)] for place in torch.linspace(0, len(part) - 1, count)])
    predictor = NetworkPredictor(network)
    prediction = predictor(batch.to(predictor.device))
    on_cpu = {name: value.cpu() for name, value in vars(prediction).items() if isinstance(value, torch.Tensor)}
    return batch, type(prediction)(**{**vars(prediction), **on_cpu})

"""Scores of a network on a part of a data set: the one way in which every reported number is made."""

from collections.abc import Callable
from typing import Any

import torch

from seqkit.contracts import Batch, Data, State
from seqkit.network import Network, carry, exact

DIGITS = 6


def rounded(value: float) -> float:
    """Return ``value`` to six significant digits.

    Sums are exact over any batching, but a float32 matrix product may differ in its eighth digit with the number
    of its rows; further digits would not be the same on every batch size.
    """
    return float(f"{float(value):.{DIGITS}g}")


@torch.no_grad()
def each_batch(
    network: Network,
    data: Data,
    split: Any,
    batch_size: int,
    see: Callable[[torch.Tensor, torch.Tensor | None, Batch], None],
) -> None:
    """Run the network over every sample of ``split`` exactly once, carrying state where the data are streams.

    Args:
        network: Is put into evaluation mode; its device is used.
        data: Set up.
        split: "train", "valid" or "test".
        batch_size: Samples or streams side by side; does not change the outputs.
        see: Called with each batch's outputs, their valid steps and the batch.
    """
    from seqkit.training.loader import evaluation_loader

    network.eval()
    device = next(network.parameters()).device
    state: State | None = None
    with exact(device):
        for batch in evaluation_loader(data, split, batch_size):
            batch = batch.to(device)
            outputs, lengths_B, state = network(batch, carry(state, batch, network.model))
            see(outputs, lengths_B, batch)


def evaluate(network: Network, data: Data, split: Any, batch_size: int) -> dict[str, float]:
    """Return the head's scores over ``split``, rounded to six significant digits; see ``each_batch``."""
    scores = network.head.scores().to(next(network.parameters()).device)
    each_batch(network, data, split, batch_size, scores.update)
    return {name: rounded(value) for name, value in scores.compute().items()}

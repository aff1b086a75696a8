"""Causes of a training step that fails, found by looking at the network: a kept graph, a part that makes NaN."""

from typing import Any

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.network import Network


@torch.no_grad()
def part_making_nan(network: Network, batch: Batch) -> str:
    """Return the first of "frontend", "model" and "head" that makes NaN or infinity of finite numbers, or ""."""
    if not all(_is_finite(value) for value in (batch.inputs, *network.parameters())):
        return ""
    x_BTI, lengths_B = network.frontend(batch.inputs, batch.lengths)
    if not _is_finite(x_BTI):
        return "frontend"
    y_BTH, _ = network.model(x_BTI, lengths_B, None)
    if not _is_finite(y_BTH):
        return "model"
    return "" if _is_finite(network.head(y_BTH, lengths_B, batch)) else "head"


def _is_finite(value: Any) -> bool:
    return not isinstance(value, Tensor) or bool(value.isfinite().all())


def kept_graph(network: nn.Module) -> str:
    """Return the first attribute of a module that keeps a tensor with its graph from one step to the next, or "".

    A second backward pass then fails. It is named as in the network, "model.cell.memory".
    """
    for place, module in network.named_modules():
        own = {name: value for name, value in vars(module).items() if not name.startswith("_")}
        for name, value in {**own, **module._buffers}.items():
            if _has_graph(value):
                return f"{place}.{name}".lstrip(".")
    return ""


def _has_graph(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(_has_graph(item) for item in value)
    return isinstance(value, Tensor) and value.grad_fn is not None

"""Tensors that a module keeps from one training step to the next with their graph, so that the second one fails."""

from typing import Any

from torch import Tensor, nn


def kept_graph(network: nn.Module) -> str:
    """Return the first attribute of a module of ``network`` that holds a tensor with a graph, or an empty string.

    It is named as in the network, "model.cell.memory".
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

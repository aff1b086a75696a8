"""A metric whose samples were scored in several places, say by ranks: their states joined, where that is asked for.

torchmetrics joins inside of ``compute``, wherever processes are connected. A metric that is computed on one rank alone,
as for a figure, would then wait for ever; after a failure on one rank, two different metrics would be joined.
"""

import pickle
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqkit.errors import PluginError

States = list[tuple[int, dict[str, Any]]]
"""Of a metric and each metric inside it: number of updates, and states by name, on the CPU."""

VALUES = (Tensor, np.ndarray, bool, int, float, complex, str, bytes, list, tuple, dict, set, deque)


def only_where_asked() -> None:
    """Let no metric that is made from now on join by itself."""
    import torchmetrics.metric

    torchmetrics.metric.jit_distributed_available = _never  # type: ignore[assignment]


def _never() -> bool:
    return False


def parts(metric: Any) -> list[Any]:
    """Return a metric and the metrics inside it."""
    from torchmetrics import Metric

    return [module for module in metric.modules() if isinstance(module, Metric)]


def states(metric: Any) -> States:
    """Return what a metric holds of the samples that it was given."""
    return [
        (part._update_count, {name: _on_cpu(value) for name, value in part.metric_state.items()})
        for part in parts(metric)
    ]


def join(metric: Any, everywhere: Sequence[States]) -> None:
    """Let a metric hold all samples that metrics like it were given.

    Args:
        metric: One of them.
        everywhere: The states of all of them, its own included.

    Raises:
        PluginError: A state is a mean, which cannot be joined without the number of samples.
    """
    for part, held in zip(parts(metric), zip(*everywhere, strict=True), strict=True):
        given = [own for updates, own in held if updates]  # the states of a place without samples say nothing
        for name, reduction in part._reductions.items() if given else ():
            setattr(part, name, _on(part.device, _joined([own[name] for own in given], reduction, part, name)))
        part._update_count = sum(updates for updates, _ in held)
        part._computed = None


def _joined(values: list[Any], reduction: Any, part: Any, name: str) -> Any:
    from torchmetrics.utilities import dim_zero_cat, dim_zero_mean, dim_zero_sum

    if isinstance(values[0], list):
        return [tensor for value in values for tensor in value]
    if len(values) == 1:
        return values[0]
    if reduction is dim_zero_sum:
        exact = torch.float64 if values[0].is_floating_point() else None
        return torch.stack(values).sum(0, dtype=exact).to(values[0].dtype)
    if reduction is dim_zero_cat:
        return torch.cat(values)
    if reduction is dim_zero_mean and not all(torch.equal(value, values[0]) for value in values):
        raise PluginError(
            f"{type(part).__name__}: the mean of '{name}' over ranks is not the mean over their samples; keep a sum "
            "and a count, each by add_state(..., dist_reduce_fx='sum')"
        )
    return reduction(torch.stack(values)) if reduction else torch.stack(values)


def beside_states(metric: Any) -> dict[str, bytes]:
    """Return the values that a metric holds beside its states, by the name of their attribute."""
    from torchmetrics import Metric

    plain = type("Plain", (Metric,), {"update": lambda self: None, "compute": lambda self: None})()
    found = {}
    for part in parts(metric):
        named = {**vars(part), **dict(part.named_buffers(recurse=False))}
        for name, value in named.items():
            if name not in vars(plain) and name not in part._reductions and isinstance(value, VALUES):
                found[f"{type(part).__name__}.{name}"] = _frozen(value)
    return found


def refuse_undeclared(metric: Any, before: dict[str, bytes]) -> None:
    """Refuse a metric that keeps something of its samples beside its states, which is not joined.

    Args:
        metric: After its updates.
        before: ``beside_states`` of it before them.

    Raises:
        PluginError: Names the attribute.
    """
    for name, value in beside_states(metric).items():
        if before.get(name) != value:
            raise PluginError(
                f"{name} changes in update and is no state, so over several ranks it would hold the samples of one; "
                "make it one by add_state(..., dist_reduce_fx='sum')"
            )


def _frozen(value: Any) -> bytes:
    """Return bytes that differ where the value does; none for one that cannot say."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().flatten().view(torch.uint8).numpy()
    try:
        return pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError):
        return b""


def _on_cpu(value: Any) -> Any:
    return _on("cpu", value)


def _on(device: Any, value: Any) -> Any:
    return [tensor.to(device) for tensor in value] if isinstance(value, list) else value.to(device)

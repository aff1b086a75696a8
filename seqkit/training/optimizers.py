"""Optimizers, and the parameters that weight decay applies to.

An optimizer is built as ``optimizer(parameters, *, options)``: parameter groups as ``torch.optim`` takes them, made by
``parameter_groups``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import nn

from seqkit.errors import ConfigError, nearest
from seqkit.registry import register_optimizer
from seqkit.schema import Probability

Group = dict[str, Any]


@register_optimizer("adamw")
def adamw(
    parameters: list[Group],
    *,
    lr: PositiveFloat = 1e-3,
    beta1: Probability = 0.9,
    beta2: Probability = 0.999,
    eps: PositiveFloat = 1e-8,
    weight_decay: NonNegativeFloat = 0.01,
    groups: dict[str, PositiveFloat] | None = None,
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); weight decay on matrices only, not on biases or what its module exempts.

    Args:
        parameters: What to train, by ``parameter_groups``.
        lr: Learning rate.
        beta1: Decay of the mean of gradients.
        beta2: Decay of the mean of squared gradients.
        eps: Added to the root of the latter.
        weight_decay: Decoupled weight decay per step, multiplied by the learning rate.
        groups: Factors on the learning rate by part, `{frontend:0.1,head:2}`; a part is a name as in `freeze`.
    """
    rated = with_rates(with_weight_decay(parameters, weight_decay), lr, groups or {})
    return torch.optim.AdamW(rated, lr=lr, betas=(beta1, beta2), eps=eps)


@register_optimizer("sgd")
def sgd(
    parameters: list[Group],
    *,
    lr: PositiveFloat = 0.1,
    momentum: Probability = 0.0,
    nesterov: bool = False,
    weight_decay: NonNegativeFloat = 0.0,
    groups: dict[str, PositiveFloat] | None = None,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent, with momentum if asked; weight decay on matrices only.

    Args:
        parameters: What to train, by ``parameter_groups``.
        lr: Learning rate.
        momentum: Decay of the running gradient.
        nesterov: Nesterov momentum; needs momentum above 0.
        weight_decay: L2 penalty's gradient factor.
        groups: Factors on the learning rate by part, `{frontend:0.1,head:2}`; a part is a name as in `freeze`.
    """
    if nesterov and momentum == 0:
        raise ConfigError("optimizer.nesterov=true needs optimizer.momentum above 0, such as 0.9")
    rated = with_rates(with_weight_decay(parameters, weight_decay), lr, groups or {})
    return torch.optim.SGD(rated, lr=lr, momentum=momentum, nesterov=nesterov)


def parameter_groups(network: nn.Module) -> list[Group]:
    """Return a network's trained parameters as two groups for a torch optimizer: those to decay and those not.

    Decayed are parameters of two or more dimensions, apart from those that the module that owns them names in an
    attribute ``no_decay``, a tuple of names. A group holds ``params``, their ``names`` and ``decay``.
    """
    groups: list[Group] = [{"params": [], "names": [], "decay": decay} for decay in (True, False)]
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            owner, _, own_name = name.rpartition(".")
            exempt = own_name in getattr(network.get_submodule(owner), "no_decay", ())
            group = groups[0 if parameter.ndim >= 2 and not exempt else 1]
            group["params"].append(parameter)
            group["names"].append(name)
    return [group for group in groups if group["params"]]


def with_weight_decay(groups: list[Group], weight_decay: float) -> list[Group]:
    """Return the groups with ``weight_decay`` set, to 0 in the group that is not decayed."""
    return [{**group, "weight_decay": weight_decay if group["decay"] else 0.0} for group in groups]


def with_rates(groups: list[Group], lr: float, factors: Mapping[str, float]) -> list[Group]:
    """Return the groups divided by their factor on the learning rate, which is set in those of another than 1.

    Args:
        groups: By ``parameter_groups``.
        lr: Learning rate of a factor of 1.
        factors: By the name of a module or parameter of the network; of several that hold a parameter the longest
            counts.

    Raises:
        ConfigError: A name holds no trained parameter.
    """
    names = [name for group in groups for name in group["names"]]
    for part in factors:
        if not any(_is_in(name, part) for name in names):
            near = nearest(part, {name.rsplit(".", depth)[0] for name in names for depth in range(name.count(".") + 1)})
            raise ConfigError(f"optimizer.groups: no trained parameter is in '{part}'. {near}freeze=[...] trains none")
    found: dict[tuple[bool, float], Group] = {}
    for group in groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            factor = factors[max(parts, key=len)] if (parts := [part for part in factors if _is_in(name, part)]) else 1
            own: Group = {"params": [], "names": []} | ({"factor": factor, "lr": lr * factor} if factor != 1 else {})
            rated = found.setdefault((group["decay"], factor), {**group, **own})
            rated["params"].append(parameter)
            rated["names"].append(name)
    return list(found.values())


def _is_in(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part}.")

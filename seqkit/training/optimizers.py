"""Optimizers, and schedules of the learning rate.

An optimizer is built as ``optimizer(parameters, *, options)``. A scheduler is built as
``scheduler(total_steps, mode, *, options)`` and is a callable from the number of finished optimizer steps to a
factor on the learning rate; one that also has ``validated(score)`` is told each validation's score, of which
``mode`` ("min" or "max") says what is better. Its attributes are saved in the checkpoint.
"""

from collections.abc import Iterable

import torch
from pydantic import NonNegativeFloat, PositiveFloat

from seqkit.errors import ConfigError
from seqkit.registry import register_optimizer
from seqkit.schema import Probability

Parameters = Iterable[torch.nn.Parameter]


@register_optimizer("adamw")
def adamw(
    parameters: Parameters,
    *,
    lr: PositiveFloat = 1e-3,
    beta1: Probability = 0.9,
    beta2: Probability = 0.999,
    eps: PositiveFloat = 1e-8,
    weight_decay: NonNegativeFloat = 0.01,
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); weight decay on matrices only, not on biases and peepholes.

    Args:
        parameters: What to train.
        lr: Learning rate.
        beta1: Decay of the mean of gradients.
        beta2: Decay of the mean of squared gradients.
        eps: Added to the root of the latter.
        weight_decay: Decoupled decay, times the learning rate, a step.
    """
    groups = _decay_matrices(parameters, weight_decay)
    return torch.optim.AdamW(groups, lr=lr, betas=(beta1, beta2), eps=eps)


@register_optimizer("sgd")
def sgd(
    parameters: Parameters,
    *,
    lr: PositiveFloat = 0.1,
    momentum: Probability = 0.0,
    nesterov: bool = False,
    weight_decay: NonNegativeFloat = 0.0,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent, with momentum if asked; weight decay on matrices only.

    Args:
        parameters: What to train.
        lr: Learning rate.
        momentum: Decay of the running gradient.
        nesterov: Whether to look ahead along it; needs momentum above 0.
        weight_decay: L2 penalty's gradient factor.
    """
    if nesterov and momentum == 0:
        raise ConfigError("optimizer.nesterov=true needs optimizer.momentum above 0, such as 0.9")
    groups = _decay_matrices(parameters, weight_decay)
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov)


def _decay_matrices(parameters: Parameters, weight_decay: float) -> list[dict]:
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]

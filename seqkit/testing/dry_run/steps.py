"""Training steps of a network: forward, loss, backward, optimizer, schedule."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.network import Network
from seqkit.precision import autocast
from seqkit.registry import build
from seqkit.rng import get_rng, set_rng
from seqkit.testing.dry_run.state import Saved
from seqkit.testing.dry_run.trial import Trial
from seqkit.training.diagnosis import kept_graph, part_making_nan
from seqkit.training.optimizers import parameter_groups

NETWORK = ("model", "head", "frontend")
TRIES = 8  # of other random numbers, for a gradient
CLOSE = 1e-5  # relative difference of two losses that are the same but for rounding


def try_steps(trial: Trial, network: Network, batch: Batch) -> Saved:
    """Take a training step, and return what has a state after it.

    Where a part of the network is a plugin the step is computed twice from the same random state: equal losses mean
    that nothing is drawn from a generator that a checkpoint does not hold, nor kept where a checkpoint has not got it.
    """
    network.train()
    before, buffers = get_rng(), {name: value.clone() for name, value in network.named_buffers()}
    version = batch.inputs._version
    loss = _forward(trial, network, batch)
    if batch.inputs._version != version and trial.has_plugin(*NETWORK):
        raise trial.refuse(*NETWORK, reason="it changes its input in place; write x = x * a, not x *= a or x.mul_(a)")
    if not loss.isfinite() and (kind := part_making_nan(network, batch)) in trial.plugins:
        raise trial.refuse(kind, reason="it makes NaN or infinity of finite numbers, with its initial weights")
    _backward(trial, network, loss)
    if trial.has_plugin(*NETWORK):
        _require_gradients(trial, network, batch)
        set_rng(before)
        for name, value in network.named_buffers():
            if name in buffers:
                value.data = buffers[name]  # of the shape that it had then
        network.zero_grad()
        again = _forward(trial, network, batch)
        _backward(trial, network, again)
        if not math.isclose(again.item(), loss.item(), rel_tol=CLOSE):
            raise trial.refuse(
                *NETWORK,
                reason=f"the same training step from the same random state has a loss of {loss.item():.6g}, then "
                f"{again.item():.6g}, so that no resume can be exact; draw from torch's generator (not secrets or one "
                "of your own), and keep what changes in buffers or in the state",
            )
    return _optimize(trial, network, loss.detach())


def _forward(trial: Trial, network: Network, batch: Batch) -> Tensor:
    """Return the mean loss of a batch."""
    with autocast(trial.config["trainer"]["precision"], trial.device):
        with trial.part(*NETWORK, doing="its call"):
            outputs, lengths_B, _ = network(batch)
        with trial.part("head", doing="loss"):
            result = network.head.loss(outputs, lengths_B, batch)
    if not isinstance(result, tuple) or len(result) != 2:
        returned = f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result).__name__
        raise trial.refuse(
            "head", reason=f"loss returned {returned}; return (the sum over the batch, the number of items in it)"
        )
    with trial.part("head", doing="loss"):
        loss = result[0] / result[1]
        loss.item()  # one number
    return loss


def _backward(trial: Trial, network: Network, loss: Tensor) -> None:
    if not loss.requires_grad:
        raise trial.refuse(*NETWORK, reason="the loss has no gradient; look for detach(), .data, numpy() and no_grad()")
    try:
        with trial.part(*NETWORK, doing="the gradient of the loss"):
            loss.backward()
    except Exception as error:
        place = kept_graph(network)
        if not place or "second time" not in str(error):
            raise
        raise trial.refuse(
            place.partition(".")[0],
            reason=f"{place} holds a tensor of the training step before, with its graph; return it in the state, or "
            "detach it",
        ) from error


def _require_gradients(trial: Trial, network: Network, batch: Batch) -> None:
    """Refuse a plugin of whose parameters some would stay as they were drawn.

    One that is left out at random, as by stochastic depth, has its gradient in another step.
    """
    for _ in range(TRIES):
        if not any(_without_gradient(network, kind) for kind in NETWORK if kind in trial.plugins):
            return
        _backward(trial, network, _forward(trial, network, batch))
    for kind in NETWORK:
        if kind in trial.plugins and (lost := _without_gradient(network, kind)):
            raise trial.refuse(
                kind,
                reason=f"no gradient reaches {', '.join(lost[:3])}{', ...' * (len(lost) > 3)}, so nothing would train "
                "it; look for detach(), .data, numpy() and no_grad(), or for a parameter that is not used",
            )


def _without_gradient(network: Network, kind: str) -> list[str]:
    part = getattr(network, kind)
    parameters = part.named_parameters() if isinstance(part, nn.Module) else ()
    return [name for name, parameter in parameters if parameter.requires_grad and parameter.grad is None]


def _optimize(trial: Trial, network: Network, loss: Tensor) -> Saved:
    """Step optimizer and schedule once, as Lightning does."""
    with trial.part("optimizer", doing="building it"):
        optimizer = build("optimizer", trial.config["optimizer"], parameter_groups(network))
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise trial.refuse("optimizer", reason=f"it is a {type(optimizer).__name__}, not a torch.optim.Optimizer")
    with trial.part("scheduler", doing="building it"):
        schedule = build("scheduler", trial.config["scheduler"], trial.total_steps, network.head.monitor[1])
    with trial.part("scheduler", doing="its call"):
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    _step(trial, optimizer, loss)
    with trial.part("scheduler", doing="its call"):
        scheduler.step()
    if hasattr(schedule, "validated"):
        with trial.part("scheduler", doing="validated"):
            schedule.validated(loss.item())
    network.zero_grad()
    return Saved(network, optimizer, scheduler)


def _step(trial: Trial, optimizer: Any, loss: Tensor) -> None:
    if trial.config["trainer"]["precision"] == "16-mixed":  # the gradients are there already, scaled
        with trial.part("optimizer", doing="step()"):
            optimizer.step()
        return
    calls: list[int] = []

    def closure() -> Any:  # a tensor, as Lightning's
        calls.append(1)
        return loss

    with trial.part("optimizer", doing="step(closure=...)"):
        optimizer.step(closure=closure)
    if not calls:
        raise trial.refuse("optimizer", reason="step does not call its closure, which computes the gradients")

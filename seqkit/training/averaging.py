"""Averages of the weights over the steps of a training, which generalise better than the last ones."""

import logging
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from seqkit.runs.checkpoint import AVERAGED
from seqkit.training.strategy import reshard, share, whole

LOG = logging.getLogger("seqkit")


def decaying(decay: float) -> Callable[[int], float]:
    """Return the weight of step 1, 2, ... in an exponential moving average.

    The decay is at most (1 + step) / (10 + step), so that the initial weights are soon forgotten.
    """
    return lambda step: 1 - min(decay, (1 + step) / (10 + step))


def even_from(start: int) -> Callable[[int], float | None]:
    """Return the weight of a step in the mean of all after ``start`` (Izmailov et al. 2018); None up to there."""
    return lambda step: 1 / (step - start) if step > start else None


class NonMonotone:
    """Weight of a step in the mean of all after a validation that was worse than the best of the earlier ones.

    Earlier are those before the last ``interval``. It is the trigger of NT-ASGD (Merity et al. 2018, algorithm 1).

    Args:
        interval: Validations whose scores are not compared with (n in the paper).

    Attributes:
        scores: Of the validations so far, negated where higher is better.
        start: Finished steps at the validation that triggered; None before it.
    """

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.scores: list[float] = []
        self.start: int | None = None

    def __call__(self, step: int) -> float | None:
        return None if self.start is None else even_from(self.start)(step)

    def validated(self, score: float, step: int) -> None:
        """Take the score of a validation, lower is better, after ``step`` finished steps into account."""
        earlier = self.scores[: -self.interval]
        if self.start is None and earlier and score > min(earlier):
            self.start = step
            LOG.info("trainer.average_when_stalled=%d: weights are averaged from step %d on", self.interval, step + 1)
        self.scores.append(score)


class Averaging(pl.Callback):
    """Average the trained parameters; validate with the average, and save it beside the parameters themselves.

    Training never reads the average, and a checkpoint holds both, so that a resume is exact. Buffers are not averaged.

    Args:
        weight: Of the parameters after a step in their average, by the number of the step; None starts it anew. One
            that also has ``validated`` is told the score of each validation that is due; its attributes are saved.
        name: Option that asked for it.
    """

    def __init__(self, weight: Callable[[int], float | None], name: str) -> None:
        self.weight: Any = weight
        self.name = name
        self.average: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        LOG.info("%s: validation, best.ckpt and what is made of it use averaged weights", self.name)
        self.average = {
            name: share(self.average[name].to(parameter.device), parameter)
            for name, parameter in _trained(module).items()
            if name in self.average
        }

    @torch.no_grad()
    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        weight = self.weight(trainer.global_step)
        if weight is None:
            self.average = {}
        elif not self.average:
            self.average = {name: parameter.detach().clone() for name, parameter in _trained(module).items()}
        else:
            for name, parameter in _trained(module).items():
                self.average[name].lerp_(parameter.detach(), weight)

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._swap(module)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._swap(module)  # before the checkpoints are saved: Lightning calls those that save them last
        owner: Any = module
        if hasattr(self.weight, "validated") and owner.validation_is_due:
            sign = 1 if owner.monitor[1] == "min" else -1
            self.weight.validated(sign * owner.monitored, trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self.weight)) if hasattr(self.weight, "validated") else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self.weight).update(state_dict)

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.average:
            network: Any = module.network
            names = {parameter: name for name, parameter in _trained(module).items()}
            checkpoint[AVERAGED] = {
                name: whole(self.average[names[parameter]])
                for name, parameter in network.named_parameters(remove_duplicate=False)  # a tied one has several names
                if parameter in names
            }

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.average = checkpoint.get(AVERAGED, {})

    @torch.no_grad()
    def _swap(self, module: pl.LightningModule) -> None:
        reshard(module)
        for name, parameter in _trained(module).items() if self.average else ():
            average = self.average[name]
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)


def _trained(module: Any) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in module.network.named_parameters() if parameter.requires_grad}

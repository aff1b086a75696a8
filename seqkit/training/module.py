"""The one LightningModule: any network on any data, state carried over batches, RNG and state in the checkpoint."""

import math
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from seqkit.contracts.batch import Batch, State
from seqkit.contracts.spec import DataSpec
from seqkit.errors import TrainingError
from seqkit.evaluation import MODEL, Scorer
from seqkit.network import Network, carry
from seqkit.rng import get_rng, set_rng


class SequenceTask(pl.LightningModule):
    """Train a network.

    Args:
        network: Frontend, model and head.
        spec: Of the data.
        optimizer: Over the network's parameters.
        schedule: From finished optimizer steps to a factor on the learning rate; may have ``validated(score)``.
        facts: Plain JSON for the checkpoint, so that it can be used by itself: config, spec, fingerprint of the data.
        log_every: Optimizer steps between logged training metrics.
    """

    def __init__(
        self,
        network: Network,
        spec: DataSpec,
        optimizer: torch.optim.Optimizer,
        schedule: Callable[[int], float],
        facts: dict[str, Any],
        log_every: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.facts = facts
        self.log_every = log_every
        self.latest: dict[str, float] = {}  # scores of the last validation
        self.seconds = 0.0  # of training and validation, over all starts of the run
        self._optimizer = optimizer
        self._schedule = schedule
        self._carried: State | None = None
        self._rng: dict[str, Any] | None = None

    @property
    def monitored(self) -> float:
        """The last validation's score that decides which checkpoint is best."""
        return self.latest[self.network.head.monitor[0]]

    def configure_optimizers(self) -> Any:
        scheduler = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._schedule)
        return {"optimizer": self._optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_start(self) -> None:
        self._before, self._started = self.seconds, time.monotonic()
        if self._rng is not None:  # resumed: everything that draws while setting up has done so by now
            set_rng(self._rng)
            self._rng = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        outputs, lengths_B, state = self.network(batch, carry(self._carried, batch, self.network.model))
        self._carried = None if batch.fresh_B is None else tuple(part.detach() for part in state)
        total, count = self.network.head.loss(outputs, lengths_B, batch)
        loss = total / count
        accumulated = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0
        if accumulated and (self.global_step + 1) % self.log_every == 0:
            value = loss.item()
            if math.isnan(value):
                raise TrainingError(
                    f"the training loss became NaN by step {self.global_step + 1}; lower optimizer.lr, "
                    "or find where with trainer.detect_anomaly=true"
                )
            rate = self._optimizer.param_groups[0]["lr"]
            self.log_metrics({"train/loss": value, "train/lr": rate}, self.global_step + 1)
        return loss

    def on_validation_start(self) -> None:
        self._scorer = Scorer(self.network, self.spec)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._scorer.update(batch)

    def on_validation_epoch_end(self) -> None:
        self.latest = self._scorer.compute()[MODEL]
        if math.isnan(self.monitored):
            raise TrainingError(f"{self.network.head.monitor[0]} became NaN in validation; lower optimizer.lr")
        if hasattr(self._schedule, "validated"):
            self._schedule.validated(self.monitored)
        self.log_metrics({f"valid/{name}": value for name, value in self.latest.items()}, self.global_step)

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Write metrics to every logger under the number of finished optimizer steps."""
        for logger in self.trainer.loggers:
            logger.log_metrics(metrics, step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        carried = [part.cpu() for part in self._carried] if self._carried is not None else None
        self.seconds = self._before + time.monotonic() - self._started
        now = {"rng": get_rng(), "carried": carried, "latest": self.latest, "seconds": self.seconds}
        checkpoint["seqkit"] = {**self.facts, **now}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint["seqkit"]
        self._rng, self.latest, self.seconds = saved["rng"], saved["latest"], saved["seconds"]
        if saved["carried"] is not None:
            self._carried = tuple(part.to(self.device) for part in saved["carried"])

"""The moments of training at which SEQKIT_INTERRUPT can interrupt it, as a callback of Lightning."""

from typing import Any

import lightning.pytorch as pl

from seqkit import interrupting
from seqkit.training.loader import TrainLoader


class Moments(pl.Callback):
    """Say which moment the training has reached; see ``seqkit.interrupting``.

    It comes before the callback that saves checkpoints, which Lightning calls last.
    """

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        interrupting.delay()

    def on_before_optimizer_step(self, trainer: pl.Trainer, module: Any, optimizer: Any) -> None:
        interrupting.reached("before", trainer.global_step + 1)

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        interrupting.reached("batch", batch_idx + 1)
        loader = trainer.train_dataloader
        assert isinstance(loader, TrainLoader)
        order = loader.data.order("train", loader.data.batch_size, loader.seed, loader.epoch)
        if loader.handed == len(order):
            interrupting.reached("epoch", loader.epoch + 1)
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            interrupting.reached("step", trainer.global_step)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if batch_idx == 0:
            is_last = trainer.should_stop or trainer.global_step >= trainer.max_steps
            interrupting.reached("validation", trainer.global_step, *["last"] * is_last)


def moments() -> list[pl.Callback]:
    """Return the callback where an interruption is asked for; no other training has it."""
    return [Moments()] if interrupting.wanted() else []

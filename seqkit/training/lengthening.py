"""A training that goes on to another last step than its checkpoint was made for."""

import logging
from typing import Any

import lightning.pytorch as pl

from seqkit.registry import build
from seqkit.training.module import SequenceModule

LOG = logging.getLogger("seqkit")


class NewLength(pl.Callback):
    """Let the schedule of the learning rate end at the new last step, and say what that changes.

    A checkpoint holds the learning rate of its next step, the attributes of a schedule that is an object, and whether
    the last batch was handed out; all three are those of the earlier length.

    Args:
        config: Of the run.
        before: Optimizer steps of the whole training when the checkpoint was saved.
        now: As of now.
    """

    def __init__(self, config: dict[str, Any], before: int, now: int) -> None:
        self.config, self.before, self.now = config, before, now

    def on_load_checkpoint(self, trainer: pl.Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        # Lightning would end the training at once, which had handed out its last batch.
        checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, SequenceModule)
        name, step = self.config["scheduler"]["name"], trainer.global_step
        old, new = (build("scheduler", self.config["scheduler"], n, module.monitor[1]) for n in (self.before, self.now))
        sampled = range(step, max(self.before, self.now), max(1, self.now // 1000))
        differed = any(old(each) != new(each) for each in range(0, step, max(1, step // 1000)))
        so_far = f"; this is not what a single run of {self.now} steps gives" * differed
        depends = any(old(each) != new(each) for each in sampled)
        scheduler: Any = trainer.lr_scheduler_configs[0].scheduler
        [optimizer] = trainer.optimizers
        for factor in scheduler.lr_lambdas:
            for key, value in getattr(new, "__dict__", {}).items():
                if repr(vars(old).get(key)) != repr(value):
                    setattr(factor, key, value)
        earlier = optimizer.param_groups[0]["lr"]
        parts = zip(optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
        for group, base, factor in parts if old(step) != new(step) else ():
            group["lr"] = base * factor(step)  # else as saved: what the last validation said is for the step after
        scheduler._last_lr = [group["lr"] for group in optimizer.param_groups]
        if depends:
            rate = optimizer.param_groups[0]["lr"]
            LOG.info(
                "the %s schedule now ends at step %d instead of %d: the learning rate at step %d is %.3g instead of "
                "%.3g%s%s",
                *(name, self.now, self.before, step, rate, earlier, ", a warm restart" * (rate > earlier), so_far),
            )
        else:
            LOG.info("training to step %d instead of %d; the %s schedule is the same", self.now, self.before, name)

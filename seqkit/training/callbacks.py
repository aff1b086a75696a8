"""Callbacks of training: checkpoints at moments from which it goes on bit for bit, signals, progress."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from seqkit.errors import Stopped, TrainingError
from seqkit.ranks import DelayedMax, group
from seqkit.runs.checkpoint import read, refuse_if_not_plain, write
from seqkit.runs.folder import RunFolder
from seqkit.runs.lock import LockWatch
from seqkit.stopping import MAX_TIME, NAMES, StopRequest
from seqkit.training.module import SequenceModule

SCORES = 6  # of a validation that are said, the one that decides first; metrics.csv has all
SILENCE = 15.0  # seconds after which training says where it is


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's reading and writing of checkpoints, through ``seqkit.runs.checkpoint``.

    Args:
        keep: Contents of ``last.ckpt`` to keep.
    """

    def __init__(self, keep: int = 1) -> None:
        self.keep = keep

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        refuse_if_not_plain(checkpoint)
        write(Path(path), checkpoint, self.keep if Path(path).stem == "last" else 1)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        return read(Path(path))


class Checkpoints(Checkpoint):
    """Save ``last.ckpt`` every so many steps and after each validation, ``best.ckpt`` when a score is the best.

    Args:
        run: Folder of the run.
        total_steps: Optimizer steps of the whole training; a last validation follows them.
        every: Optimizer steps between saves beside those after validations; None for none.
        patience: Validations without a better score after which training ends; None is never. Those that are not due
            (``SequenceModule.validation_is_due``) are none of them.
        stop: Asked between two steps.
    """

    def __init__(
        self, run: RunFolder, total_steps: int, every: int | None, patience: int | None, stop: StopRequest
    ) -> None:
        self.run, self.total_steps, self.every = run, total_steps, every
        self.patience, self.stop = patience, stop
        self._group = group()
        self._largest = DelayedMax(self._group)
        self.best: float | None = None
        self.best_loss: float | None = None
        self.bar: float | None = None  # best score of the validations that are due
        self.waited = 0
        self.done = False
        self.lock = LockWatch(run.lock_file)
        self._asked = ""  # for a stop, of all ranks

    def state_dict(self) -> dict[str, Any]:
        names = ("best", "best_loss", "bar", "waited", "done")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.best_loss = state["best"], state["best_loss"]
        self.bar = state.get("bar", self.best)  # which older checkpoints do not have
        self.waited, self.done = state["waited"], state["done"]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, SequenceModule)
        self._refuse_if_lock_is_lost(trainer, now=True)
        if trainer.is_global_zero:
            self.run.write_scored(module.monitor, module.metadata["fingerprint"])
        self.done = False  # a training that is to be longer than its checkpoint says

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._group.tick()
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self._refuse_if_lock_is_lost(trainer)
        step = trainer.global_step
        self.stop.look()
        self._ask()
        if step >= self.total_steps:
            trainer.should_stop = True  # Lightning then validates once more, whatever the interval
        interval = trainer.val_check_batch
        if trainer.should_stop or (interval and (batch_idx + 1) % interval == 0):
            return  # a validation follows; saved after it, with its outcome
        if self._asked or (self.every and step % self.every == 0):
            self._save(trainer, self.run.last)
        self._stop_if_asked(trainer)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, SequenceModule)
        score, loss = module.monitored, module.latest.get("loss")
        sign = 1 if module.monitor[1] == "min" else -1
        better = self.best is None or sign * score < sign * self.best
        tie = score == self.best and loss is not None and self.best_loss is not None and loss < self.best_loss
        if module.validation_is_due:
            passed = self.bar is None or sign * score < sign * self.bar
            self.bar, self.waited = (score, 0) if passed else (self.bar, self.waited + 1)
        if self.patience is not None and self.waited >= self.patience:
            trainer.should_stop = True
        self.done = trainer.should_stop
        if better or tie:
            self.best, self.best_loss = score, loss
            self._save(trainer, self.run.best)
        self._save(trainer, self.run.last)
        if self.done:  # what is asked in the last validation stops it before the report, which may be long
            self._ask()
            self._ask()  # the first answer is to what was asked before
        if not self.done or self._asked != MAX_TIME:
            self._stop_if_asked(trainer)

    def _ask(self) -> None:
        """Learn what any rank has been asked for, up to the call before this one."""
        self._asked = NAMES[self._largest(NAMES.index(self.stop.name))]

    def _save(self, trainer: pl.Trainer, path: Path) -> None:
        self._refuse_if_lock_is_lost(trainer, now=True)
        with self.stop.saving():
            trainer.save_checkpoint(path)

    def _refuse_if_lock_is_lost(self, trainer: pl.Trainer, now: bool = False) -> None:
        """Stop without saving where another process may train the run by now."""
        if self._group.first and (reason := self.lock.lost_reason(now)):
            raise TrainingError(
                f"{self.run.path}: the lock of the run {reason}; stopped at step {trainer.global_step} without saving"
            )

    def _stop_if_asked(self, trainer: pl.Trainer) -> None:
        reason = self.stop.name if self._group.size == 1 else self._asked
        if reason:
            self._group.part()
            raise Stopped(reason, trainer.global_step, self.run.path)


class ProgressBar(pl.Callback):
    """A bar over the optimizer steps on a terminal, else a line at least every 15 s; a line after each validation.

    Args:
        total_steps: Optimizer steps of the whole training.
        clock: Seconds, from any start.
    """

    def __init__(self, total_steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total_steps, self.clock = total_steps, clock
        self.console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._line = self._bar.add_task("training", total=total_steps, rate="")

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._started, self._first = self.clock(), trainer.global_step
        self._said = self._started
        self._bar.start()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._bar.disable:
            self._say_if_silent(trainer, f"{self._rate(trainer):.3g} steps/s")
        else:
            self._bar.update(self._line, completed=trainer.global_step, rate=f"{self._rate(trainer):.1f} steps/s")

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._bar.update(self._line, description="validating")

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if self._bar.disable:
            self._say_if_silent(trainer, "validating")

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, SequenceModule)
        scores = sorted(module.latest.items(), key=lambda item: item[0] != module.monitor[0])[:SCORES]
        self._say(trainer, "valid: " + "  ".join(f"{name} {value:.4g}" for name, value in scores))
        self._bar.update(self._line, description="training")

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        self._bar.stop()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self._bar.stop()

    def _say_if_silent(self, trainer: pl.Trainer, text: str) -> None:
        if self.clock() - self._said >= SILENCE:
            self._say(trainer, text)

    def _say(self, trainer: pl.Trainer, text: str) -> None:
        self._said = self.clock()
        elapsed = self._said - self._started
        self.console.print(f"step {trainer.global_step}/{self.total_steps}  {elapsed:.0f} s  {text}")

    def _rate(self, trainer: pl.Trainer) -> float:
        return (trainer.global_step - self._first) / max(1e-9, self.clock() - self._started)

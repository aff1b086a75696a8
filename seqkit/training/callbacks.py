"""Checkpoints: written whole or not at all, best and last, at moments from which training goes on bit for bit."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from seqkit.errors import Stopped
from seqkit.training.module import SequenceTask

BEST, LAST = "best.ckpt", "last.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary name in the same folder, then renames; loads tensors and plain data only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)


class StopRequest:
    """Whether the user or the system has asked for a stop; the training looks at it between two steps."""

    def __init__(self) -> None:
        self.name = ""
        self._before: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return bool(self.name)

    def listen(self) -> None:
        """Take the first SIGINT or SIGTERM as a request; another one acts at once."""
        if threading.current_thread() is not threading.main_thread():
            return
        before: dict[int, Any] = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def request(number: int, frame: Any) -> None:
            self.name = signal.Signals(number).name
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.write(2, f"\n{self.name}: stopping after this step; once more stops at once\n".encode())

        for number in before:
            signal.signal(number, request)
        self._before = before

    def close(self) -> None:
        """Put back the handlers from before ``listen``."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


class Checkpoints(Checkpoint):
    """Save ``last.ckpt`` every so many steps and after each validation, ``best.ckpt`` when a score is the best.

    Args:
        folder: Where they go.
        monitor: Name of the score and whether "min" or "max" is better.
        total_steps: Optimizer steps of the whole training; a last validation follows them.
        every: Optimizer steps between saves beside those after validations; None for none.
        patience: Validations without a better score after which training ends; None is never.
        stop: Asked between two steps.
    """

    def __init__(
        self,
        folder: Path,
        monitor: tuple[str, str],
        total_steps: int,
        every: int | None,
        patience: int | None,
        stop: StopRequest,
    ) -> None:
        self.folder, self.monitor, self.total_steps, self.every = folder, monitor, total_steps, every
        self.patience, self.stop = patience, stop
        self.best: float | None = None
        self.waited = 0
        self.done = False

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited, self.done = state["best"], state["waited"], state["done"]

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        # Only now: Lightning has installed its own handlers, whose SIGTERM ends the process with exit code 0.
        self.stop.listen()

    def on_train_batch_end(self, trainer: pl.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        step = trainer.global_step
        if step >= self.total_steps:
            trainer.should_stop = True  # Lightning then validates once more, whatever the interval
        interval = trainer.val_check_batch
        if trainer.should_stop or (interval and (batch_idx + 1) % interval == 0):
            return  # a validation follows; saved after it, with its outcome
        if self.stop or (self.every and step % self.every == 0):
            self._save(trainer, LAST)
        self._stop_if_asked(trainer)

    def on_validation_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        assert isinstance(task, SequenceTask)
        score = task.monitored
        better = self.best is None or (score < self.best if self.monitor[1] == "min" else score > self.best)
        self.waited = 0 if better else self.waited + 1
        if self.patience is not None and self.waited >= self.patience:
            trainer.should_stop = True
        self.done = trainer.should_stop
        if better:
            self.best = score
            self._save(trainer, BEST)
        self._save(trainer, LAST)
        if not self.done:
            self._stop_if_asked(trainer)

    def _save(self, trainer: pl.Trainer, name: str) -> None:
        trainer.save_checkpoint(self.folder / name)

    def _stop_if_asked(self, trainer: pl.Trainer) -> None:
        if self.stop:
            raise Stopped(self.stop.name, trainer.global_step, self.folder.parent)

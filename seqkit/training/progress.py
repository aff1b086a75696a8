"""What a person sees while a run trains: a bar on a terminal, a line a validation everywhere."""

import sys
import time
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from seqkit.training.module import SequenceTask


class ProgressBar(pl.Callback):
    """A rich bar over the optimizer steps (terminals only), and one line with the scores of each validation."""

    def __init__(self, total_steps: int) -> None:
        self.total_steps = total_steps
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

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self._started, self._first = time.monotonic(), trainer.global_step
        self._bar.start()

    def on_train_batch_end(self, trainer: pl.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._bar.disable:
            return
        self._bar.update(self._line, completed=trainer.global_step, rate=f"{self._rate(trainer):.1f} steps/s")

    def on_validation_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self._bar.update(self._line, description="validating")

    def on_validation_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        assert isinstance(task, SequenceTask)
        scores = "  ".join(f"{name} {value:.4g}" for name, value in task.latest.items())
        elapsed = time.monotonic() - self._started
        self.console.print(f"step {trainer.global_step}/{self.total_steps}  {elapsed:.0f} s  valid: {scores}")
        self._bar.update(self._line, description="training")

    def teardown(self, trainer: pl.Trainer, task: pl.LightningModule, stage: str) -> None:
        self._bar.stop()

    def on_exception(self, trainer: pl.Trainer, task: pl.LightningModule, exception: BaseException) -> None:
        self._bar.stop()

    def _rate(self, trainer: pl.Trainer) -> float:
        return (trainer.global_step - self._first) / max(1e-9, time.monotonic() - self._started)

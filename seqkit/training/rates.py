"""The learning rate range test (Smith 2017): the loss while the rate grows from step to step."""

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lightning.pytorch as pl

from seqkit.config import Config
from seqkit.contracts.components import Data
from seqkit.errors import TrainingError
from seqkit.network import device_of
from seqkit.ranks import group
from seqkit.training.loader import TrainLoader
from seqkit.training.module import SequenceModule
from seqkit.training.strategy import RankEnvironment

RECENT = 5  # steps whose mean loss says whether it diverges
DIVERGED = 4.0  # times the lowest such mean, at which the test ends


@dataclass(frozen=True)
class RateTest:
    """The outcome of a range test.

    Attributes:
        rates: One per optimizer step.
        losses: Training loss of each step.
        half_decade: Steps over which the rate grows to its threefold.
        diverged: Whether the test ended early, since the loss had grown.
    """

    rates: list[float]
    losses: list[float]
    half_decade: int
    diverged: bool

    @cached_property
    def smoothed(self) -> list[float]:
        """Means of the losses over half a decade of rates around each."""
        reach = max(1, self.half_decade // 2)
        windows = (self.losses[max(0, step - reach) : step + reach + 1] for step in range(len(self.losses)))
        return [sum(window) / len(window) for window in windows]

    @property
    def lowest(self) -> int:
        """The step of the lowest smoothed loss."""
        return min(range(len(self.smoothed)), key=self.smoothed.__getitem__)

    @property
    def steepest(self) -> int:
        """The step around which the smoothed loss falls most over a decade of rates.

        Raises:
            TrainingError: The loss falls nowhere.
        """
        apart = self.half_decade
        last = min(self.lowest, len(self.smoothed) - 1 - apart)
        falls = {step: self.smoothed[step - apart] - self.smoothed[step + apart] for step in range(apart, last + 1)}
        best = max(falls, key=falls.__getitem__, default=0)
        if not falls or falls[best] <= 0:
            raise TrainingError(
                "the loss falls at none of the learning rates that were tried; try others by --from and --to, or more "
                "--steps, or look at the data"
            )
        return best


class _Growing(pl.Callback):
    """Let the rate grow by the same factor at each optimizer step, note the losses, and stop where they have grown."""

    def __init__(self, rates: list[float]) -> None:
        self.rates, self.diverged = rates, False
        self.losses: list[float] = []
        self._batches: list[float] = []  # losses of the batches of this step
        self._lowest = math.inf

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        for own in trainer.optimizers[0].param_groups:
            own["lr"] = self.rates[trainer.global_step] * own.get("factor", 1)

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._batches.append(float(outputs["loss"]))
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        loss, self._batches = sum(self._batches) / len(self._batches), []
        recent = [*self.losses[1 - RECENT :], loss]
        mean = sum(recent) / len(recent)
        self.diverged = not math.isfinite(loss) or mean > DIVERGED * self._lowest
        if self.diverged:
            trainer.should_stop = True
            return
        self.losses.append(loss)
        if len(recent) == RECENT:
            self._lowest = min(self._lowest, mean)


def range_test(config: Config, data: Data, start: float, end: float, steps: int) -> RateTest:
    """Train a network of its own for some steps, the rate growing by the same factor at each; nothing is kept.

    Frozen parts, own rates of parts and the weights that the run starts from are those of the config; its schedule is
    not used. Whole batches are computed in this process.

    Args:
        config: Of a run, checked.
        data: Set up.
        start: Learning rate of the first step.
        end: Of the last.
        steps: Optimizer steps.
    """
    options = config["trainer"]
    accumulate = options["accumulate_grad_batches"]
    growing = _Growing([start * (end / start) ** (step / max(1, steps - 1)) for step in range(steps)])
    quiet = {**config, "trainer": {**options, "log_every_n_steps": steps + 1}}  # a NaN ends the test, not the training
    trainer = pl.Trainer(
        accelerator=device_of(options["accelerator"]).type,
        devices=1,
        precision=options["precision"],
        max_epochs=1,
        max_steps=steps,
        limit_val_batches=0,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=options["gradient_clip_val"],
        deterministic=options["deterministic"],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
        plugins=[RankEnvironment(group().place)],
        callbacks=[growing],
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        trainer.fit(
            SequenceModule(quiet, data.spec, steps, {}), TrainLoader(data, config["seed"], steps * accumulate, 0, False)
        )
    half_decade = max(1, round((steps - 1) / math.log10(end / start) / 2))
    return RateTest(growing.rates[: len(growing.losses)], growing.losses, half_decade, growing.diverged)

"""Schedules of the learning rate.

A scheduler is built as ``scheduler(total_steps, mode, *, options)`` and is a callable from the number of finished
optimizer steps to a factor on the learning rate; one that also has ``validated(score)`` is told the score of each
validation that is due, of which ``mode`` ("min" or "max") says what is better. Its attributes are saved in the
checkpoint.
"""

import math
from collections.abc import Callable

from pydantic import NonNegativeInt

from seqkit.registry import register_scheduler
from seqkit.schema import Probability


def _warm(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / (warmup + 1))


@register_scheduler("constant")
def constant(total_steps: int, mode: str, *, warmup: NonNegativeInt = 0) -> Callable[[int], float]:
    """The same learning rate throughout, after a linear warm-up.

    Args:
        total_steps: Of the whole training.
        mode: Not used.
        warmup: Optimizer steps of the warm-up.
    """
    return lambda step: _warm(step, warmup)


@register_scheduler("cosine")
def cosine(
    total_steps: int, mode: str, *, warmup: NonNegativeInt = 0, final: Probability = 0.0
) -> Callable[[int], float]:
    """Half a cosine from the full learning rate to the final one (Loshchilov and Hutter 2017), after a warm-up.

    Args:
        total_steps: Of the whole training.
        mode: Not used.
        warmup: Optimizer steps of the linear warm-up.
        final: Factor at the end.
    """

    def factor(step: int) -> float:
        progress = min(1.0, max(0, step - warmup) / max(1, total_steps - warmup))
        return _warm(step, warmup) * (final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2)

    return factor


@register_scheduler("plateau")
class Plateau:
    """Lower the learning rate when the validation score stops getting better, after a linear warm-up.

    Args:
        total_steps: Of the whole training.
        mode: Whether a lower ("min") or a higher ("max") score is better.
        warmup: Optimizer steps of the warm-up.
        patience: Validations without a better score before the rate is lowered.
        reduce: Factor by which the rate is then multiplied.
        minimum: Factor below which it never falls.
    """

    def __init__(
        self,
        total_steps: int,
        mode: str,
        *,
        warmup: NonNegativeInt = 0,
        patience: NonNegativeInt = 2,
        reduce: Probability = 0.5,
        minimum: Probability = 1e-3,
    ) -> None:
        self.sign = 1.0 if mode == "min" else -1.0
        self.warmup, self.patience, self.reduce, self.minimum = warmup, patience, reduce, minimum
        self.level = 1.0
        self.best = math.inf
        self.waited = 0

    def __call__(self, step: int) -> float:
        return _warm(step, self.warmup) * self.level

    def validated(self, score: float) -> None:
        """Take the score of a validation into account."""
        if self.sign * score < self.best:
            self.best, self.waited = self.sign * score, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.level, self.waited = max(self.minimum, self.level * self.reduce), 0

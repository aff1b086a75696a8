"""Checks of schedulers."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from seqkit import registry
from seqkit.testing import options
from seqkit.testing.check import CheckError, DoesNotApply, check, ensure, explained, require
from seqkit.testing.line import Chosen
from seqkit.testing.saving import read_back

STEPS, VALIDATIONS = 60, 12
"""Optimizer steps of a training that a check goes through at most, and validations between them."""

SCORES = [abs(math.sin(count)) for count in range(STEPS)]
"""Scores of successive validations, now better, now worse."""


@dataclass(frozen=True)
class SchedulerSubject:
    """A scheduler to be checked.

    Attributes:
        config: Name and options.
        totals: Optimizer steps of the trainings that it is made for, from the usual one on.
    """

    config: Mapping[str, Any]
    totals: tuple[int, ...] = (STEPS, 1)

    @property
    def steps(self) -> range:
        """The first steps of a training."""
        return range(min(STEPS, self.totals[0]))

    def build(self, mode: str = "min", total: int | None = None) -> Any:
        """Return the schedule of a training of ``total`` steps, whose monitored score is better by ``mode``."""
        return registry.build("scheduler", self.config, self.totals[0] if total is None else total, mode)


def check_scheduler(name: str, **given: Any) -> None:
    """Run every check of a scheduler on one that is registered; raises ``CheckError`` with a line for each failure."""
    require(*suite({"scheduler": {"name": name, **given}}))


def suite(chosen: Chosen) -> tuple[SchedulerSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of a scheduler; see ``seqkit.testing.line.suite``."""
    return SchedulerSubject(chosen["scheduler"]), ("scheduler",)


options.define_checks("scheduler")


@check("scheduler", cheap=True)
def factor_is_a_number_from_zero_up(subject: SchedulerSubject) -> None:
    """It multiplies the learning rate, from step 0 to the last one; below 0 the loss is driven up."""
    for total in subject.totals:
        schedule = subject.build(total=total)
        for step in sorted({total * part // STEPS for part in range(STEPS + 1)}):
            with explained(f"it must have a factor at step {step} of {total}"):
                factor = schedule(step)
            ensure(
                isinstance(factor, int | float) and math.isfinite(factor) and factor >= 0,
                f"the factor at step {step} of {total} is {factor!r:.60}; it must be a finite number from 0 up",
            )


@check("scheduler", cheap=True)
def factor_depends_on_the_step_only(subject: SchedulerSubject) -> None:
    """It is asked for the same step more than once, and after a resume not for the earlier ones."""
    schedule = subject.build()
    first = [schedule(step) for step in subject.steps]
    again = [subject.build()(step) for step in subject.steps]
    for step, (due, found, fresh) in enumerate(zip(first, map(schedule, subject.steps), again, strict=True)):
        ensure(
            found == due == fresh,
            f"the factor at step {step} is {due:.6g}, when it is asked for again {found:.6g}, and {fresh:.6g} where "
            "earlier steps were not asked for; compute it from the step",
        )


@check("scheduler", cheap=True)
def state_is_plain(subject: SchedulerSubject) -> None:
    """A checkpoint is read without running code; one value of another kind makes all of it unreadable."""
    schedule = subject.build()
    _train(schedule, subject.steps)
    for name, value in (_optimized(schedule).state_dict()["lr_lambdas"][0] or {}).items():
        try:
            read_back(value)
        except Exception:
            raise CheckError(
                f"its attribute '{name}' is {type(value).__name__}, which a checkpoint cannot hold; keep numbers, "
                "strings, lists, dicts and tensors"
            ) from None


@check("scheduler", cheap=True)
def going_on_from_a_checkpoint_is_exact(subject: SchedulerSubject) -> None:
    """The learning rate of a resumed run must be that of one that was never stopped."""
    steps = len(subject.steps)
    for half in sorted({steps // 2, 2 * steps // 3}):
        schedule, again = _optimized(subject.build()), _optimized(subject.build())
        _train(schedule.lr_lambdas[0], range(half), schedule)
        again.load_state_dict(read_back(schedule.state_dict()))
        rest = range(half, steps)
        due, found = (_train(one.lr_lambdas[0], rest, one) for one in (schedule, again))
        for step, pair in zip(rest, zip(due, found, strict=True), strict=True):
            ensure(
                pair[0] == pair[1],
                f"after a checkpoint at step {half} the factor at step {step} is {pair[1]:.6g}, without one "
                f"{pair[0]:.6g}; keep what changes in attributes of an object, not in a closure",
            )


@check("scheduler")
def better_scores_keep_the_rate_higher_than_worse_ones(subject: SchedulerSubject) -> None:
    """Of an accuracy a rise is better, of a loss a fall: ``mode`` says which."""
    if not hasattr(subject.build(), "validated"):
        raise DoesNotApply("it has no validated")
    for mode, better in (("min", -1.0), ("max", 1.0)):
        factors = []
        for direction in (better, -better):
            schedule = subject.build(mode)
            _train(schedule, subject.steps, scores=[direction * count for count in range(STEPS)])
            factors.append(schedule(STEPS // 2))
        ensure(
            factors[0] >= factors[1],
            f"with mode '{mode}' ever better scores lower the factor to {factors[0]:.4g}, ever worse ones to "
            f"{factors[1]:.4g}; compare by mode",
        )


def _train(
    schedule: Callable[[int], float],
    steps: Sequence[int],
    stepped: Any = None,
    scores: Sequence[float] = SCORES,
) -> list[float]:
    """Go through some steps of a training with validations between them, and return the factor at each."""
    factors = []
    interval = max(1, (steps[-1] + 1) // VALIDATIONS) if steps else 1
    for step in steps:
        factors.append(stepped.get_last_lr()[0] if stepped is not None else schedule(step))
        if stepped is not None:
            stepped.optimizer.step()
            stepped.step()
        if (step + 1) % interval == 0 and hasattr(schedule, "validated"):
            schedule.validated(scores[(step + 1) // interval])
    return factors


def _optimized(schedule: Any) -> Any:
    """Return torch's scheduler for a learning rate of 1, as a training makes it."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)

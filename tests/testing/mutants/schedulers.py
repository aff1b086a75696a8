"""Broken schedulers."""

from pathlib import Path

import torch

import seqkit
from seqkit.training.schedules import Plateau
from tests.testing.mutants import mutant


@mutant("scheduler", "counts_its_calls", "factor_depends_on_the_step_only", "compute it from the step", True)
@seqkit.register_scheduler("counts_its_calls")
def counts_its_calls(total_steps: int, mode: str):
    """A closure with a count of its own, which a resumed run starts anew."""
    calls = 0

    def factor(step):
        nonlocal calls
        calls += 1
        return 1 - calls / (4 * total_steps)

    return factor


@mutant("scheduler", "closure_of_scores", "going_on_from_a_checkpoint_is_exact", "not in a closure", True)
@seqkit.register_scheduler("closure_of_scores")
def closure_of_scores(total_steps: int, mode: str):
    """A closure that lowers the rate with every validation; a checkpoint does not hold how many there were."""
    level = 1.0

    def validated(score):
        nonlocal level
        level *= 0.9

    def factor(step):
        return level

    factor.validated = validated
    return factor


@mutant("scheduler", "path_in_its_state", "state_is_plain", "'file' is", True)
@seqkit.register_scheduler("path_in_its_state")
class PathInItsState(Plateau):
    """One attribute makes every checkpoint of the run unreadable."""

    def __init__(self, total_steps: int, mode: str) -> None:
        super().__init__(total_steps, mode)
        self.file = Path("rates.csv")


@mutant("scheduler", "below_zero", "factor_is_a_number_from_zero_up", "from 0 up", True)
@seqkit.register_scheduler("below_zero")
def below_zero(total_steps: int, mode: str):
    """A straight line that goes on beyond zero."""
    return lambda step: 1 - 2 * step / total_steps


@mutant("scheduler", "root_of_the_step", "factor_is_a_number_from_zero_up", "at step 0", True)
@seqkit.register_scheduler("root_of_the_step")
def root_of_the_step(total_steps: int, mode: str):
    """Steps counted from 1, where the first is 0."""
    return lambda step: step**-0.5


@mutant("scheduler", "tensor_factor", "factor_is_a_number_from_zero_up", "must be a finite number", True)
@seqkit.register_scheduler("tensor_factor")
def tensor_factor(total_steps: int, mode: str):
    """A tensor where a number is due."""
    return lambda step: torch.linspace(1, 0, total_steps + 1)[step]


@mutant("scheduler", "always_min", "better_scores_keep_the_rate_higher_than_worse_ones", "compare by mode", False)
@seqkit.register_scheduler("always_min")
class AlwaysMin(Plateau):
    """Takes every score for a loss: an accuracy that rises lowers the rate."""

    def __init__(self, total_steps: int, mode: str) -> None:
        super().__init__(total_steps, "min")

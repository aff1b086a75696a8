"""Randomness: none in evaluation, and in training what the seed of the run decides."""

import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from seqkit.testing.check import check, ensure, seeded
from seqkit.testing.compare import difference
from seqkit.testing.modules import KINDS
from seqkit.testing.subject import ModuleSubject

REPEATED = 1e-5
"""Largest relative difference of the same computation done twice, on any device."""


@check(*KINDS, cheap=True)
@torch.no_grad()
def evaluation_gives_the_same_again(subject: ModuleSubject) -> None:
    """The same input gives the same outputs, whatever was drawn or computed before, or no score could be had again."""
    module, inputs = subject.module(), subject.x()
    lasting = [name for name, part in module.named_modules() if part.training]
    ensure(
        not lasting, f"after eval() these are still in training mode: {', '.join(name or 'itself' for name in lasting)}"
    )
    first = subject.outputs(module, inputs)
    subject.outputs(module, inputs.flip(1))
    with seeded(1):
        by = difference(subject.outputs(module, inputs), first)
    ensure(
        by < REPEATED,
        f"evaluated twice, the same input gives outputs {by:.2g} apart; draw random numbers under `if self.training` "
        "only, and keep nothing on self from one call to the next",
    )


@check(*KINDS, cheap=True)
@torch.no_grad()
def evaluation_changes_no_buffer(subject: ModuleSubject) -> None:
    """Evaluation leaves the model as it was: a validation must not change what is trained."""
    module, inputs = subject.module(), subject.x()
    saved = module.state_dict()  # buffers that are not saved are caches
    before = {name: buffer.clone() for name, buffer in module.named_buffers() if name in saved}
    subject.outputs(module, inputs)
    changed = [name for name, old in before.items() if not torch.equal(module.get_buffer(name), old)]
    ensure(not changed, f"in evaluation it changes its {', '.join(changed)}; do so under `if self.training` only")


@check(*KINDS, cheap=True)
@torch.no_grad()
def seed_decides_training(subject: ModuleSubject) -> None:
    """With the generators in the same state a training step is the same: a continued run relies on it."""
    inputs = subject.x()
    outputs = []
    for _ in range(2):
        module = subject.module(training=True)
        with seeded(5):
            outputs.append(subject.outputs(module, inputs))
    by = difference(*outputs)
    ensure(
        by < REPEATED,
        f"from the same seed its outputs in training are {by:.2g} apart; draw from torch's own generator, which is "
        "saved in checkpoints, not from secrets, the time, or one made by default_rng()",
    )


@check(*KINDS, cheap=True)
@torch.no_grad()
def generators_are_never_seeded(subject: ModuleSubject) -> None:
    """It draws on from where the generators of the run are; seeding them would repeat one dropout mask."""
    module, inputs = subject.module(training=True), subject.x()
    for doing, compute in (("it", lambda: subject.outputs(module, inputs)), ("building it", subject.make)):
        reason = seeding_reason(compute)
        ensure(not reason, f"{doing} {reason}")


def seeding_reason(compute: Callable[[], Any]) -> str:
    """Return which generators a computation seeds, and what would be right, or an empty string."""
    after = []
    for seed in (1, 2):
        with seeded(seed):
            compute()
            after.append(_generators())
    same = [name for name, state in after[0].items() if state == after[1][name]]
    return f"seeds the generator of {', '.join(same)}; leave that to the run's seed" if same else ""


def _generators() -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": pickle.dumps(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
    }

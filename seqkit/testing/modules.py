"""What models and frontends have in common: they are modules that are trained, saved and sent to other processes."""

import copy
import pickle

import torch
from torch import nn

from seqkit.errors import one_line
from seqkit.testing.check import CheckError, check, ensure
from seqkit.testing.compare import TOLERANCE, difference
from seqkit.testing.subject import ModuleSubject, projected, random_like, trained

KINDS = "model", "frontend"

TRIES = 3
"""Of other weights and random numbers: a layer that starts at zero hides those before it, a mask what it leaves out."""


@check(*KINDS, cheap=True, basic=True)
def can_be_built(subject: ModuleSubject) -> None:
    """It is built without a refusal, as an nn.Module: the parameters of anything else would not be trained."""
    module = subject.make()
    ensure(
        isinstance(module, nn.Module),
        f"{subject.where} is {type(module).__name__}; make it an nn.Module, so that it is trained and saved",
    )


@check(*KINDS)
def gradient_reaches_every_parameter(subject: ModuleSubject) -> None:
    """A parameter without a gradient stays as it was drawn, in silence."""
    module = subject.module(training=True)
    wanted = trained(module)
    lost = [*wanted]
    for number in range(TRIES):
        outputs = subject.outputs(module, subject.x())
        ensure(
            outputs.requires_grad,
            "its output has no gradient at all, so that it would not be trained; look for detach(), .data, numpy() and "
            "no_grad()",
        )
        found = torch.autograd.grad(projected(outputs), [wanted[name] for name in lost], allow_unused=True)
        lost = [name for name, gradient in zip(lost, found, strict=True) if gradient is None or not gradient.any()]
        if not lost:
            return
        with torch.no_grad():
            for parameter in wanted.values():
                parameter.add_(0.1 * random_like(parameter, seed=number))
    raise CheckError(
        f"the gradient of the outputs does not reach {', '.join(lost)}; use them in the output, or do not make them"
    )


@check(*KINDS, cheap=True)
def input_is_not_changed_in_place(subject: ModuleSubject) -> None:
    """Its input is another part's output, whose gradient needs it."""
    module, inputs = subject.module(training=True), subject.x().clone()
    before, version = inputs.clone(), inputs._version
    subject.outputs(module, inputs)
    ensure(
        inputs._version == version and torch.equal(inputs, before),
        "it changes its input in place; write x = x * a, not x *= a or x.mul_(a)",
    )


@check(*KINDS)
@torch.no_grad()
def state_dict_holds_all_of_it(subject: ModuleSubject) -> None:
    """One of other weights that loads the state dict computes the same: a checkpoint holds nothing else."""
    module, other, inputs = subject.module(), subject.module(seed=1), subject.x()
    due = subject.outputs(module, inputs)
    try:
        other.load_state_dict(module.state_dict())
    except RuntimeError as error:
        raise CheckError(
            f"its state dict does not load into another one: {one_line(error)}; make every weight in __init__"
        ) from error
    by = difference(subject.outputs(other, inputs), due)
    ensure(
        by < TOLERANCE,
        f"a second one that loads its state dict gives outputs {by:.2g} away; keep modules in nn.ModuleList, and "
        "numbers in nn.Parameter or register_buffer",
    )


@check(*KINDS)
@torch.no_grad()
def can_be_copied_and_sent_to_a_worker(subject: ModuleSubject) -> None:
    """It is copied by deepcopy for an export, and pickled to be sent to another process."""
    module, inputs = subject.module(), subject.x()
    due = subject.outputs(module, inputs)
    for name, copied in (("deepcopy", copy.deepcopy), ("pickle", lambda own: pickle.loads(pickle.dumps(own)))):
        try:
            twin = copied(module)
        except Exception as error:
            raise CheckError(
                f"{name} refuses it ({type(error).__name__}: {error}); keep on self no lambda, no function defined in "
                "another, no generator, file or lock"
            ) from error
        by = difference(subject.outputs(twin, inputs), due)
        ensure(by < TOLERANCE, f"what {name} made of it gives outputs {by:.2g} away")

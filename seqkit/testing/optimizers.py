"""Checks of optimizers."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqkit import registry
from seqkit.testing import options
from seqkit.testing.check import CheckError, DoesNotApply, check, ensure, explained, require, seeded
from seqkit.testing.line import Chosen
from seqkit.testing.saving import read_back
from seqkit.training.optimizers import parameter_groups

STEPS = 50
"""Steps after which the loss must be lower."""


class Regression:
    """A small regression problem and the optimizer that is to solve it.

    Attributes:
        layer: The weight (3, 4), which is decayed, and the bias (3,), which is not.
        optimizer: For both groups.
        uphill: Whether the gradients are those of a step back.
    """

    uphill = False

    def __init__(self, config: Mapping[str, Any]) -> None:
        draw = torch.Generator().manual_seed(0)
        self.inputs, self.due = torch.randn(32, 4, generator=draw), torch.randn(32, 3, generator=draw)
        self.layer = nn.Linear(4, 3)
        with torch.no_grad():
            for parameter in self.layer.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=draw))
        self.optimizer = registry.build("optimizer", config, parameter_groups(self.layer))

    @property
    def weights(self) -> list[Tensor]:
        """Copies of the weight and the bias as they are now."""
        return [parameter.detach().clone() for parameter in self.layer.parameters()]

    def loss(self) -> Tensor:
        """Return the mean squared error."""
        return nn.functional.mse_loss(self.layer(self.inputs), self.due)

    def closure(self) -> Tensor:
        """Compute loss and gradients, as a training does in the step."""
        self.optimizer.zero_grad()
        loss = self.loss()
        (-loss if self.uphill else loss).backward()
        return loss.detach()

    def step(self, steps: int = 1) -> None:
        """Take some steps of the optimizer."""
        for _ in range(steps):
            self.optimizer.step(closure=self.closure)

    def zero_closure(self) -> Tensor:
        """Give every parameter a gradient of zero, and return a loss of zero."""
        for parameter in self.layer.parameters():
            parameter.grad = torch.zeros_like(parameter)
        return torch.zeros(())


@dataclass(frozen=True)
class OptimizerSubject:
    """An optimizer to be checked: its name and options, as in the config."""

    config: Mapping[str, Any]

    def regression(self, **options: Any) -> Regression:
        """Return a new problem, its optimizer with further options."""
        return Regression({**self.config, **options})

    def has_option(self, option: str) -> bool:
        """Whether the optimizer has an option of this name."""
        return option in registry.check("optimizer", self.config)


def check_optimizer(name: str, **given: Any) -> None:
    """Run every check of an optimizer on one that is registered; raises ``CheckError`` with a line for each failure."""
    require(*suite({"optimizer": {"name": name, **given}}))


def suite(chosen: Chosen) -> tuple[OptimizerSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of an optimizer; see ``seqkit.testing.line.suite``."""
    return OptimizerSubject(chosen["optimizer"]), ("optimizer",)


options.define_checks("optimizer")


@check("optimizer", cheap=True)
def takes_every_parameter_in_its_groups(subject: OptimizerSubject) -> None:
    """It is given groups with ``params``, ``names`` and ``decay``; a parameter that is left out is never trained."""
    problem = subject.regression()
    ensure(
        isinstance(problem.optimizer, torch.optim.Optimizer),
        f"it is {type(problem.optimizer).__name__}; return a torch.optim.Optimizer",
    )
    held = [parameter for group in problem.optimizer.param_groups for parameter in group["params"]]
    given = {name for name, parameter in problem.layer.named_parameters() if all(parameter is not one for one in held)}
    ensure(not given, f"{', '.join(sorted(given))} is in none of its groups; pass on all that it is given")
    ensure(
        all("lr" in group for group in problem.optimizer.param_groups),
        "a group has no 'lr', which the scheduler changes; put the learning rate into the defaults",
    )


@check("optimizer", cheap=True)
def step_calls_the_closure_first(subject: OptimizerSubject) -> None:
    """Loss and gradients are computed in the closure, which the training hands to ``step`` by this name."""
    problem = subject.regression()
    before = problem.weights
    remedy = "write def step(self, closure=None), and call closure() under torch.enable_grad()"
    with explained(remedy):
        loss = problem.optimizer.step(closure=problem.closure)
    ensure(
        isinstance(loss, Tensor | float) and float(loss) > 0,
        f"step returned {loss!r}; call the closure and return its loss",
    )
    ensure(
        all(not torch.equal(*pair) for pair in zip(problem.weights, before, strict=True)),
        "a step left a weight where it was; call the closure before the gradients are read",
    )


@check("optimizer")
def step_needs_no_closure(subject: OptimizerSubject) -> None:
    """With trainer.precision=16-mixed the gradients are there already, scaled, and ``step`` is called alone."""
    problem = subject.regression()
    before = problem.weights
    problem.closure()
    with explained("step() must do without a closure; write def step(self, closure=None)"):
        problem.optimizer.step()
    ensure(
        all(not torch.equal(*pair) for pair in zip(problem.weights, before, strict=True)),
        "step() left a weight where it was; without a closure use the gradients that are there",
    )


@check("optimizer")
def step_leaves_alone_what_has_no_gradient(subject: OptimizerSubject) -> None:
    """A part of a network may be unused in a batch."""
    problem = subject.regression()
    problem.layer.bias.requires_grad_(False)
    before = problem.weights
    with explained("this is a step with a parameter whose grad is None; skip it"):
        problem.step()
    ensure(torch.equal(problem.weights[1], before[1]), "a parameter without a gradient is changed; skip it")


@check("optimizer", cheap=True)
def learning_rate_of_the_groups_is_used(subject: OptimizerSubject) -> None:
    """The scheduler writes it there, at every step."""
    problem = subject.regression(**{"weight_decay": 0.0} if subject.has_option("weight_decay") else {})
    for group in problem.optimizer.param_groups:
        group["lr"] = 0.0
    before = problem.weights
    problem.step()
    moved = max(float((a - b).abs().max()) for a, b in zip(problem.weights, before, strict=True))
    ensure(
        moved == 0,
        f"with group['lr'] = 0 a step moves a weight by {moved:.2g}; read group['lr'] in step, no attribute",
    )


@check("optimizer")
def decay_is_that_of_the_group(subject: OptimizerSubject) -> None:
    """Biases, and what a module exempts, are in a group whose ``decay`` is False; to shrink them spoils a cell."""
    problem = subject.regression(**{"weight_decay": 0.5} if subject.has_option("weight_decay") else {})
    before = problem.weights
    for group in problem.optimizer.param_groups:
        group["lr"] = 0.1  # with a small one a decay is less than float32 can hold
    for _ in range(3):
        problem.optimizer.step(closure=problem.zero_closure)
    changed = [not torch.equal(*pair) for pair in zip(problem.weights, before, strict=True)]
    ensure(
        not changed[1],
        "without any gradient a bias shrinks; set weight_decay to 0 in the groups whose 'decay' is False",
    )
    if not subject.has_option("weight_decay"):
        raise DoesNotApply("it has no option weight_decay")
    ensure(changed[0], "weight_decay=0.5 changes nothing; set it in the groups whose 'decay' is True")


@check("optimizer")
def a_quadratic_gets_lower(subject: OptimizerSubject) -> None:
    """With the options given it should learn something of the simplest problem there is."""
    problem = subject.regression()
    before = float(problem.loss().detach())
    problem.step(STEPS)
    after = float(problem.loss().detach())
    ensure(after < before, f"after {STEPS} steps of a linear regression the loss is {after:.4g}, at first {before:.4g}")


@check("optimizer", cheap=True)
def state_is_plain(subject: OptimizerSubject) -> None:
    """A checkpoint is read without running code, so it can hold tensors and plain data only."""
    problem = subject.regression()
    problem.step(2)
    _saved(problem.optimizer.state_dict())


@check("optimizer", cheap=True)
def going_on_from_a_checkpoint_is_exact(subject: OptimizerSubject) -> None:
    """A run that is killed and resumed ends with the weights of one that was not."""
    problem, again = subject.regression(), subject.regression()
    problem.step(3)
    again.layer.load_state_dict(deepcopy(problem.layer.state_dict()))
    again.optimizer.load_state_dict(_saved(problem.optimizer.state_dict()))
    for one in (problem, again):
        one.uphill = True  # so that what a mean or a sign remembers of the way down shows
        with seeded(1):  # it may draw from torch's generator, whose state is saved
            one.step(3)
    apart = max(float((a - b).abs().max()) for a, b in zip(problem.weights, again.weights, strict=True))
    ensure(
        apart == 0,
        f"three steps after a checkpoint the weights are {apart:.2g} from those without one; keep all that a step "
        "needs in self.state or the groups",
    )


def _saved(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state as a checkpoint gives it back."""
    try:
        return read_back(state)
    except Exception:
        kinds = {type(value).__name__ for one in state["state"].values() for value in one.values()}
        raise CheckError(
            f"its state holds {', '.join(sorted(kinds))} and cannot be read back; keep tensors, numbers, strings, "
            "lists and dicts"
        ) from None

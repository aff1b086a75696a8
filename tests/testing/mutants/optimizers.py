"""Broken optimizers: gradient descent by the sign, with one thing wrong in each."""

from collections import deque
from typing import Any

import torch

import seqkit
from seqkit.training.optimizers import with_weight_decay
from tests.testing.mutants import mutant


class Signum(torch.optim.Optimizer):
    """Step by the sign of the gradient's running mean; what the mutants share is right.

    Args:
        parameters: Groups.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
    """

    def __init__(self, parameters: list[dict[str, Any]], *, lr: float = 0.01, weight_decay: float = 0.0) -> None:
        super().__init__(with_weight_decay(parameters, weight_decay), {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure() if closure else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.move(parameter, group)
        return loss

    def move(self, parameter, group):
        mean = self.state[parameter].setdefault("mean", torch.zeros_like(parameter))
        mean.lerp_(parameter.grad, 0.5)
        parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(mean.sign(), alpha=group["lr"])


@mutant("optimizer", "first_group_only", "takes_every_parameter_in_its_groups", "bias is in none", True)
@seqkit.register_optimizer("first_group_only")
class FirstGroupOnly(Signum):
    """Biases stay as they were drawn."""

    def __init__(self, parameters: list[dict[str, Any]], *, lr: float = 0.01) -> None:
        super().__init__(parameters[:1], lr=lr)


@mutant("optimizer", "no_closure", "step_calls_the_closure_first", "closure=None", True)
@seqkit.register_optimizer("no_closure")
class NoClosure(Signum):
    """A step as one would write it for a loop of one's own."""

    def step(self):
        return super().step()


@mutant(
    "optimizer", "gradients_before_the_closure", "step_calls_the_closure_first", "before the gradients are read", True
)
@seqkit.register_optimizer("gradients_before_the_closure")
class GradientsBeforeTheClosure(Signum):
    """Each step is that of the gradients before: in the first there are none."""

    def step(self, closure=None):
        super().step()
        with torch.enable_grad():
            return closure() if closure else None


@mutant("optimizer", "closure_without_gradients", "step_calls_the_closure_first", "torch.enable_grad()", True)
@seqkit.register_optimizer("closure_without_gradients")
class ClosureWithoutGradients(Signum):
    """The closure goes backward, under no_grad."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        super().step()
        return loss


@mutant("optimizer", "needs_a_closure", "step_needs_no_closure", "without a closure", False)
@seqkit.register_optimizer("needs_a_closure")
class NeedsAClosure(Signum):
    """Cannot be used where the gradients are scaled."""

    def step(self, closure):
        return super().step(closure)


@mutant("optimizer", "needs_every_gradient", "step_leaves_alone_what_has_no_gradient", "skip it", False)
@seqkit.register_optimizer("needs_every_gradient")
class NeedsEveryGradient(Signum):
    """A parameter that a batch does not use ends the training."""

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure() if closure else None
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad.sign()
        return loss


@mutant("optimizer", "own_rate", "learning_rate_of_the_groups_is_used", "no attribute", True)
@seqkit.register_optimizer("own_rate")
class OwnRate(Signum):
    """The learning rate of the start, whatever the scheduler says."""

    def __init__(self, parameters: list[dict[str, Any]], *, lr: float = 0.01) -> None:
        super().__init__(parameters, lr=lr)
        self.lr = lr

    def move(self, parameter, group):
        super().move(parameter, group | {"lr": self.lr})


@mutant("optimizer", "decays_all", "decay_is_that_of_the_group", "a bias shrinks", False)
@seqkit.register_optimizer("decays_all")
class DecaysAll(Signum):
    """One weight decay for all, biases and peepholes too."""

    def __init__(self, parameters: list[dict[str, Any]], *, lr: float = 0.01, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr=lr)
        for group in self.param_groups:
            group["weight_decay"] = weight_decay


@mutant("optimizer", "decays_none", "decay_is_that_of_the_group", "changes nothing", False)
@seqkit.register_optimizer("decays_none")
class DecaysNone(Signum):
    """An option that is taken and forgotten."""

    def __init__(self, parameters: list[dict[str, Any]], *, lr: float = 0.01, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr=lr)


@mutant("optimizer", "uphill", "a_quadratic_gets_lower", "at first", False)
@seqkit.register_optimizer("uphill")
class Uphill(Signum):
    """The wrong sign."""

    def move(self, parameter, group):
        parameter.grad.neg_()
        super().move(parameter, group)


@mutant("optimizer", "history_in_a_deque", "state_is_plain", "deque", True)
@seqkit.register_optimizer("history_in_a_deque")
class HistoryInADeque(Signum):
    """State that no checkpoint can hold."""

    def move(self, parameter, group):
        super().move(parameter, group)
        self.state[parameter].setdefault("history", deque(maxlen=3)).append(float(parameter.norm()))


@mutant("optimizer", "mean_on_itself", "going_on_from_a_checkpoint_is_exact", "self.state", True)
@seqkit.register_optimizer("mean_on_itself")
class MeanOnItself(Signum):
    """A running mean that is not in the state dict."""

    def move(self, parameter, group):
        means = self.__dict__.setdefault("means", {})
        means[parameter] = 0.9 * means.get(parameter, 0) + parameter.grad
        parameter.sub_(means[parameter], alpha=group["lr"])


@mutant("optimizer", "sign_of_mean_on_itself", "going_on_from_a_checkpoint_is_exact", "self.state", True)
@seqkit.register_optimizer("sign_of_mean_on_itself")
class SignOfMeanOnItself(MeanOnItself):
    """The same, of which only the sign counts, as in Lion: it shows where the gradient turns."""

    def move(self, parameter, group):
        before = parameter.clone()
        super().move(parameter, group)
        parameter.copy_(before - group["lr"] * self.means[parameter].sign())

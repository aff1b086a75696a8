"""Broken cells: the minimal gated unit, with one thing wrong in each."""

# B batch, H hidden, G all gates together

import random
import secrets
from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import AfterValidator
from torch import nn

import seqkit
from seqkit.models.backends.reference import run_reference
from tests.testing.mutants import mutant


class Unit(nn.Module):
    """Minimal gated unit (Zhou et al. 2016); what the mutants share is right."""

    gates = ("forget", "candidate")
    states = ("hidden",)

    def step(self, x_BG, recur, state):
        (h_BH,) = state
        x_f, x_n = x_BG.chunk(2, 1)
        f = torch.sigmoid(x_f + recur(h_BH, "forget"))
        n = torch.tanh(x_n + recur(f * h_BH, "candidate"))
        return ((1 - f) * h_BH + f * n,)


@mutant("model", "halves_in_place", "can_be_built", "changes the state 'hidden' in place", True)
@seqkit.register_cell("halves_in_place")
class HalvesInPlace(Unit):
    """A decay that is written to the state it was given."""

    def step(self, x_BG, recur, state):
        state[0].mul_(0.5)
        return super().step(x_BG, recur, state)


@mutant("model", "detached", "can_be_built", "no gradient reaches a weight", True)
@seqkit.register_cell("detached")
class Detached(Unit):
    """Detached in the wrong place: nothing but the head is trained."""

    def step(self, x_BG, recur, state):
        return tuple(part.detach() for part in super().step(x_BG, recur, state))


@mutant("model", "one_step_gradient", "gradient_flows_back_through_time", "the state is detached", True)
@seqkit.register_cell("one_step_gradient")
class OneStepGradient(Unit):
    """Detaches the state to save memory: nothing before a step is learned from it."""

    def step(self, x_BG, recur, state):
        return super().step(x_BG, recur, (state[0].detach(),))


@mutant("model", "through_numpy", "gradients_are_right", "finite differences give", False)
@seqkit.register_cell("through_numpy")
class ThroughNumpy(Unit):
    """A clip in numpy, through which no gradient comes."""

    def step(self, x_BG, recur, state):
        (h_BH,) = state
        clipped = torch.from_numpy(h_BH.detach().numpy().clip(-0.9, 0.9)).to(h_BH)
        x_f, x_n = x_BG.chunk(2, 1)
        f = torch.sigmoid(x_f + recur(h_BH, "forget"))
        return (f * h_BH + (1 - f) * torch.tanh(x_n + recur(f * clipped, "candidate")),)


@mutant("model", "noisy", "evaluation_gives_the_same_again", "if self.training", True)
@seqkit.register_cell("noisy")
class Noisy(Unit):
    """Noise on the state, in evaluation too."""

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        return (h_BH + 0.1 * torch.randn_like(h_BH),)


@mutant("model", "python_noise", "evaluation_gives_the_same_again", "if self.training", True)
@seqkit.register_cell("python_noise")
class PythonNoise(Unit):
    """Noise of python's generator."""

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        return (h_BH * (0.9 + 0.2 * random.random()),)


@mutant("model", "secret_evaluation", "evaluation_gives_the_same_again", "if self.training", True)
@seqkit.register_cell("secret_evaluation")
class SecretEvaluation(Unit):
    """Noise that no seed decides, in evaluation too."""

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        return (h_BH * (0.9 + 0.2 * secrets.randbelow(1000) / 1000),)


@mutant("model", "always_dropout", "evaluation_gives_the_same_again", "if self.training", True)
@seqkit.register_cell("always_dropout")
class AlwaysDropout(Unit):
    """F.dropout, whose third argument was forgotten."""

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        return (F.dropout(h_BH, 0.2),)


@mutant("model", "secret_noise", "seed_decides_training", "not from secrets", True)
@seqkit.register_cell("secret_noise")
class SecretNoise(Unit):
    """Noise in training that no seed decides."""

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        return (h_BH * (0.9 + 0.2 * secrets.randbelow(1000) / 1000) if self.training else h_BH,)


@mutant("model", "reseeding", "generators_are_never_seeded", "seeds the generator of torch", True)
@seqkit.register_cell("reseeding")
class Reseeding(Unit):
    """Seeds the generator of the run for a mask of its own."""

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        if self.training:
            torch.manual_seed(0)
            h_BH = F.dropout(h_BH, 0.1)
        return (h_BH,)


@mutant("model", "born_seeded", "generators_are_never_seeded", "building it seeds the generator of torch", True)
@seqkit.register_cell("born_seeded")
class BornSeeded(Unit):
    """Seeds the generator of the run, so that its own weights are the same in every run."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale = nn.Parameter(torch.rand(hidden_size))

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        return (h_BH * self.scale,)


@mutant("model", "mean_of_rows", "rows_do_not_mix", "over the batch axis", True)
@seqkit.register_cell("mean_of_rows")
class MeanOfRows(Unit):
    """Centred over the batch."""

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        return (h_BH - h_BH.mean(0),)


@mutant("model", "remembers", "evaluation_gives_the_same_again", "keep nothing on self", True)
@seqkit.register_cell("remembers")
class Remembers(Unit):
    """The last step's input on self, not among the states."""

    def step(self, x_BG, recur, state):
        before = getattr(self, "before", None)
        self.before = x_BG.detach()
        return super().step(x_BG if before is None or before.shape != x_BG.shape else x_BG + before, recur, state)


@mutant("model", "remembers_its_graph", "can_be_built", "with its graph from one call to the next", True)
@seqkit.register_cell("remembers_its_graph")
class RemembersItsGraph(Unit):
    """The same, and detach was forgotten."""

    def step(self, x_BG, recur, state):
        before = getattr(self, "before", None)
        self.before = x_BG
        return super().step(x_BG if before is None or before.shape != x_BG.shape else x_BG + before, recur, state)


@mutant("model", "counts_always", "evaluation_changes_no_buffer", "layers.0.0.cell.count", True)
@seqkit.register_cell("counts_always")
class CountsAlways(Unit):
    """A running number in a buffer, in evaluation too."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def step(self, x_BG, recur, state):
        self.count += 1
        return super().step(x_BG, recur, state)


@mutant("model", "spare_parameter", "can_be_built", "cell.spare", True)
@seqkit.register_cell("spare_parameter")
class SpareParameter(Unit):
    """A parameter that the step does not use."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.spare = nn.Parameter(torch.ones(hidden_size))


@mutant("model", "listed_layers", "state_dict_holds_all_of_it", "nn.ModuleList", False)
@seqkit.register_cell("listed_layers")
class ListedLayers(Unit):
    """Layers in a list of python, whose parameters are neither trained nor saved."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.maps = [nn.Linear(hidden_size, hidden_size)]

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        return (h_BH + 0.1 * self.maps[0].to(h_BH)(h_BH),)


@mutant("model", "unsaved_features", "state_dict_holds_all_of_it", "register_buffer", False)
@seqkit.register_cell("unsaved_features")
class UnsavedFeatures(Unit):
    """Random features as a plain attribute: another run draws others."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.mix = torch.randn(hidden_size, hidden_size)

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        return (torch.tanh(h_BH @ self.mix.to(h_BH)),)


@mutant("model", "lambda_inside", "can_be_copied_and_sent_to_a_worker", "pickle refuses it", False)
@seqkit.register_cell("lambda_inside")
class LambdaInside(Unit):
    """A lambda on self, which cannot be sent to another process."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.squash = lambda x: 0.9 * x

    def step(self, x_BG, recur, state):
        return (self.squash(super().step(x_BG, recur, state)[0]),)


@mutant("model", "fixed_float32", "computes_in_float64", "x.new_zeros", False)
@seqkit.register_cell("fixed_float32")
class FixedFloat32(Unit):
    """A matrix made in float32, whatever the model computes in."""

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        return (h_BH @ torch.eye(h_BH.shape[1]),)


class Cube(torch.autograd.Function):
    """A gradient written by hand, without its factor."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient * x**2


@mutant("model", "wrong_gradient", "gradients_are_right", "finite differences give", False)
@seqkit.register_cell("wrong_gradient")
class WrongGradient(Unit):
    """A hand-written gradient that is wrong by a factor."""

    def step(self, x_BG, recur, state):
        return (torch.tanh(Cube.apply(1 + super().step(x_BG, recur, state)[0])),)


@mutant("model", "inexact_backend", "backends_equal_the_reference", "backend=fused", False)
@seqkit.register_cell("inexact_backend")
class InexactBackend(Unit):
    """A faster backend that computes from a rounded input."""

    def fused(self, x_TBI, projections, masks, state):
        return run_reference(self, (10 * x_TBI).round() / 10, projections, masks, state)


@mutant("model", "forgets_zoneout", "every_option_of_the_stack_works", "with model.zoneout=0.5: in chunks, with", False)
@seqkit.register_cell("forgets_zoneout")
class ForgetsZoneout(Unit):
    """A faster backend that leaves out the masks of zoneout."""

    def fused(self, x_TBI, projections, masks, state):
        return run_reference(self, x_TBI, projections, [None] * len(masks), state)


@mutant("model", "unexplained_option", "docstring_explains_every_option", "does not explain leak", False)
@seqkit.register_cell("unexplained_option")
class UnexplainedOption(Unit):
    """An option that its docstring does not name."""

    def __init__(self, hidden_size: int, *, leak: float = 0.5) -> None:
        super().__init__()
        self.leak = leak

    def step(self, x_BG, recur, state):
        return (self.leak * super().step(x_BG, recur, state)[0],)


@mutant("model", "renamed_option", "docstring_explains_every_option", "explains rate", False)
@seqkit.register_cell("renamed_option")
class RenamedOption(UnexplainedOption):
    """An option that was renamed, but not in its docstring.

    Args:
        leak: Share of the new value.
        rate: Share of the new value.
    """


@mutant("model", "percent_of_percent", "options_survive_the_config", "read back from JSON model.leak", False)
@seqkit.register_cell("percent_of_percent")
class PercentOfPercent(Unit):
    """An option that is converted whenever it is checked: what is built is not what the config says.

    Args:
        leak: Share of the new value, in percent.
    """

    def __init__(
        self, hidden_size: int, *, leak: Annotated[float, AfterValidator(lambda percent: percent / 100)] = 50.0
    ) -> None:
        super().__init__()
        self.leak = leak

    def step(self, x_BG, recur, state):
        return (self.leak * super().step(x_BG, recur, state)[0],)


@mutant("model", "misspelt_no_decay", "parameters_without_decay_exist", "peephole", False)
@seqkit.register_cell("misspelt_no_decay")
class MisspeltNoDecay(Unit):
    """Exempts a parameter that it does not have."""

    no_decay = ("peephole",)


@mutant("model", "anonymous_gates", "gates_can_be_recorded", "no gate of AnonymousGates 'update'", False)
@seqkit.register_cell("anonymous_gates")
class AnonymousGates(Unit):
    """Reports a gate under a name that is not among its gates."""

    def activations(self, f):
        return {"update": f}

    def step(self, x_BG, recur, state):
        self.activations(torch.sigmoid(x_BG.chunk(2, 1)[0]))
        return super().step(x_BG, recur, state)


@mutant("model", "squeezes", "takes_one_step_of_one_row", "shape", True)
@seqkit.register_cell("squeezes")
class Squeezes(Unit):
    """A squeeze() that takes the batch away when it is 1."""

    def step(self, x_BG, recur, state):
        return (super().step(x_BG, recur, state)[0].squeeze(),)


@mutant("model", "warms_up", "resume_is_exact", "killed and continued", False)
@seqkit.register_cell("warms_up")
class WarmsUp(Unit):
    """Counts its training steps in a number of python, which no checkpoint holds."""

    calls = 0

    def step(self, x_BG, recur, state):
        (h_BH,) = super().step(x_BG, recur, state)
        if not self.training:
            return (h_BH,)
        self.calls += 1
        return (h_BH * min(1.0, self.calls / 40),)

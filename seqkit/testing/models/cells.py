"""Checks of cells, beside those of the model that the stack makes of each."""

# B batch, T time, I input, H output

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from seqkit import registry
from seqkit.errors import ConfigError
from seqkit.models.cell import backends_of
from seqkit.models.record import record_gates
from seqkit.testing.check import CheckError, DoesNotApply, check, ensure, seeded
from seqkit.testing.compare import TOLERANCE, difference, largest
from seqkit.testing.models.padding import padding_never_changes_a_valid_output
from seqkit.testing.models.subject import ModelSubject
from seqkit.testing.models.time import chunks_equal_the_whole, nothing_looks_ahead
from seqkit.testing.modules import gradient_reaches_every_parameter
from seqkit.testing.subject import projected, trained

VARIANTS: tuple[Mapping[str, Any], ...] = (
    {"num_layers": 2, "residual": True},
    {"bidirectional": True},
    {"projection_size": 2},
    {"layer_norm": True},
    {"learned_state": True},
    {"dropout": 0.5, "num_layers": 2},
    {"dropout": 0.5, "locked_dropout": True, "num_layers": 2},
    {"variational_dropout": 0.5},
    {"weight_dropout": 0.5},
    {"zoneout": 0.5},
    {"recurrent_init": "orthogonal"},
)
"""Options of the stack, each with what it needs to show."""
COMPILED = {"layer_norm": True, "variational_dropout": 0.5, "zoneout": 0.5}
"""Options of the stack that change the C of a step."""


@check("cell")
def backends_equal_the_reference(subject: ModelSubject) -> None:
    """Each faster backend gives the outputs, state and gradients of the step, which is what the author wrote."""
    faster = _faster(subject)
    if not faster:
        raise DoesNotApply("it has no backend but its step")
    refused = []
    for name in faster:
        try:
            _equals_the_reference(subject, name)
        except DoesNotApply as reason:
            refused.append(str(reason))
    if len(refused) == len(faster):
        raise DoesNotApply("; ".join(refused))


@check("cell")
def compiled_step_equals_it_with_every_option(subject: ModelSubject) -> None:
    """The compiled step gives the same as the step with all options at once that change it, in training and after."""
    faster = _faster(subject)
    if "compiled" not in faster:
        raise DoesNotApply(f"{faster[0]} computes it" if faster else "it has no backend but its step")
    together: dict[str, Any] = {}
    for option, value in COMPILED.items():
        with suppress(ConfigError):  # refused with its reason
            _built(subject, {"backend": "compiled", **together, option: value})
            together[option] = value
    own = replace(subject, config={**(subject.config or {}), **together})
    for training in (True, False):
        _equals_the_reference(own, "compiled", training)


@check("cell")
def every_option_of_the_stack_works(subject: ModelSubject) -> None:
    """With each option of the stack it trains every parameter, and keeps what padding, time and backends demand."""
    backends = [partial(_equals_the_reference, name=name) for name in _faster(subject) if name != "compiled"]
    demands: tuple[Callable[[ModelSubject], None], ...] = (
        gradient_reaches_every_parameter, padding_never_changes_a_valid_output, nothing_looks_ahead,
        chunks_equal_the_whole, *backends,
    )  # fmt: skip
    for variant in VARIANTS:
        try:
            _built(subject, variant)
        except ConfigError:  # refused with its reason
            continue
        own = replace(subject, make=partial(_built, subject, variant), config={**(subject.config or {}), **variant})
        said = " ".join(f"model.{name}={str(value).lower()}" for name, value in variant.items())
        for demand in demands:
            try:
                with seeded():
                    demand(own)
            except DoesNotApply:
                continue
            except CheckError as error:
                raise CheckError(f"with {said}: {error}") from error.__cause__


@check("cell")
@torch.no_grad()
def gates_can_be_recorded(subject: ModelSubject) -> None:
    """``record_gates`` takes what ``activations`` returns, if the cell has that, and changes no output."""
    model, x_BTI = subject.module(), subject.x()
    due = subject.outputs(model, x_BTI)
    with record_gates(model):
        by = difference(subject.outputs(model, x_BTI), due)
    ensure(by < TOLERANCE, f"while its gates are recorded its outputs are {by:.2g} away; let activations(...) be pure")


@check("cell")
def parameters_without_decay_exist(subject: ModelSubject) -> None:
    """``no_decay`` names parameters of the cell; a wrong name would be decayed in silence."""
    cell: Any = subject.module().layers[0][0].cell
    named = getattr(cell, "no_decay", ())
    ensure(isinstance(named, tuple), f"no_decay is {named!r}; it must be a tuple of names, such as ('peephole',)")
    own = [name for name, _ in cell.named_parameters(recurse=False)]
    wrong = [name for name in named if name not in own]
    ensure(not wrong, f"no_decay names {', '.join(wrong)}; the parameters of the cell are {', '.join(own) or 'none'}")


def _built(subject: ModelSubject, options: Mapping[str, Any]) -> Any:
    """Return the model with further options."""
    if subject.config is None:
        raise DoesNotApply("it was not built from a config")
    with seeded():
        return registry.build("model", {**subject.config, **options}, subject.x().shape[2]).eval()


def _faster(subject: ModelSubject) -> list[str]:
    """Return the backends that may run the cell instead of its step."""
    faster = [name for name in backends_of(_built(subject, {}).layers[0][0].cell) if name != "reference"]
    if "native" in faster or "fused" in faster:
        faster.remove("compiled")  # never the fastest beside these
    return faster


def _equals_the_reference(subject: ModelSubject, name: str, training: bool = False) -> None:
    """Compare a backend with the step; one that does not compute the options in use ``DoesNotApply``."""
    reference = _built(subject, {"backend": "reference"}).train(training)
    try:
        model = _built(subject, {"backend": name}).train(training)
    except ConfigError as reason:
        raise DoesNotApply(str(reason)) from None
    model.load_state_dict(reference.state_dict())
    due, found = (_results(one, subject.x(3, 6), torch.tensor([6, 4, 1])) for one in (reference, model))
    for quantity in due:
        by = largest(found[quantity], due[quantity])
        ensure(by < TOLERANCE, f"backend={name}: its {quantity} are {by:.2g} away from those of the step")


def _results(model: Any, x_BTI: Tensor, lengths_B: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """Return the outputs and states of a model, and the gradients of its trained parameters, each by its name."""
    with seeded():  # masks of a training
        y_BTH, state = model(x_BTI, lengths_B, None)
    gradients = torch.autograd.grad(projected(y_BTH), list(trained(model).values()), allow_unused=True)
    found = tuple(gradient for gradient in gradients if gradient is not None)
    return {"outputs": (y_BTH,), "states": state, "gradients": found}

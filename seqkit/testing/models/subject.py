"""The model that is checked: how it is made, and what it is given."""

# B batch, T time, I input, H output

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import State
from seqkit.errors import SeqkitError
from seqkit.testing.check import DoesNotApply, seeded

ROWS, STEPS = 2, 8
"""Size of what a cheap check computes."""


@dataclass(frozen=True)
class ModelSubject:
    """A model to be checked, registered or not.

    Attributes:
        make: Returns a model that a check may change; weights that are drawn come from torch's global generator.
        inputs: Returns x_BTI of so many rows and steps, the same at every call.
        where: Name of the model in messages, ``model=mgu``.
        input_size: I.
        config: Name and options, where it was built from these.
    """

    make: Callable[[], Any]
    inputs: Callable[[int, int], Tensor]
    where: str
    input_size: int
    config: Mapping[str, Any] | None = None

    def model(self, training: bool = False, seed: int = 0) -> Any:
        """Return a model in evaluation or training mode, with the weights of a seed."""
        try:
            with seeded(seed):
                return self.make().train(training)
        except SeqkitError:
            raise DoesNotApply("it cannot be built") from None

    def causal(self) -> Any:
        """Return a causal model in evaluation mode; a check of causal models does not apply to others."""
        model = self.model()
        if not model.causal:
            raise DoesNotApply("it says that it is not causal")
        return model

    def registered(self) -> Mapping[str, Any]:
        """Return name and options; a check of these does not apply to a model that was built by hand."""
        if self.config is None:
            raise DoesNotApply("it was not built from a config")
        return self.config


def random_inputs(input_size: int) -> Callable[[int, int], Tensor]:
    """Return a function that draws x_BTI of so many rows and steps, the same at every call."""

    def inputs(rows: int, steps: int) -> Tensor:
        return torch.randn(rows, steps, input_size, generator=torch.Generator().manual_seed(0))

    return inputs


def random_state(model: Any, x_BTI: Tensor) -> State:
    """Return a random state of the shapes that the model returns for this input; empty where it carries none."""
    with torch.no_grad():
        _, state = model(x_BTI, None, None)
    draw = torch.Generator().manual_seed(1)
    return tuple(torch.rand(part.shape, generator=draw).to(part) for part in state)

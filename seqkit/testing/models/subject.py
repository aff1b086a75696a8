"""The model that is checked: how it is called, and its state."""

# B batch, T time, I input, H output

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import State
from seqkit.testing.check import DoesNotApply
from seqkit.testing.subject import ModuleSubject


class ModelSubject(ModuleSubject):
    """A model to be checked; its inputs are x_BTI."""

    def outputs(self, module: Any, inputs: Tensor) -> Tensor:
        """Return y_BTH from the initial state."""
        return module(inputs, None, None)[0]

    def causal_model(self) -> Any:
        """Return a causal model in evaluation mode; a check of causal models does not apply to others."""
        model = self.module()
        if not model.causal:
            raise DoesNotApply("it says that it is not causal")
        return model


def random_inputs(input_size: int) -> Callable[[int, int], Tensor]:
    """Return a function that draws x_BTI of so many rows and steps, the same at every call."""

    def inputs(rows: int, steps: int) -> Tensor:
        return torch.randn(rows, steps, input_size, generator=torch.Generator().manual_seed(0))

    return inputs


@torch.no_grad()
def state_after(model: Any, x_BTI: Tensor) -> State:
    """Return the state after some inputs; a check of states does not apply to a model without one."""
    _, state = model(x_BTI, None, None)
    if not state:
        raise DoesNotApply("it carries no state")
    return state

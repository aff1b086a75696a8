"""The module that is checked, a model or a frontend: how it is made, and what it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqkit.errors import SeqkitError
from seqkit.testing.check import DoesNotApply, seeded

ROWS, STEPS = 2, 8
"""Size of what a cheap check computes."""


@dataclass(frozen=True)
class ModuleSubject:
    """A model or a frontend to be checked, registered or not.

    Attributes:
        make: Returns a module that a check may change; weights that are drawn come from torch's global generator.
        inputs: Returns inputs of at most so many rows and steps, the same at every call.
        where: Name of the component in messages, ``model=mgu``.
        config: Name and options, where it was built from these.
        steps: Of an example that is long enough for it.
    """

    make: Callable[[], Any]
    inputs: Callable[[int, int], Tensor]
    where: str
    config: Mapping[str, Any] | None = None
    steps: int = STEPS

    def module(self, training: bool = False, seed: int = 0) -> Any:
        """Return the module in evaluation or training mode, with the weights of a seed."""
        try:
            with seeded(seed):
                return self.make().train(training)
        except SeqkitError:
            raise DoesNotApply("it cannot be built") from None

    def x(self, rows: int = ROWS, steps: int | None = None, at_least: int = 1) -> Tensor:
        """Return inputs; a check that needs more rows or steps than the data have does not apply."""
        inputs = self.inputs(rows, self.steps if steps is None else steps)
        if inputs.shape[1] < at_least or len(inputs) < rows:
            raise DoesNotApply(f"the data have {len(inputs)} rows of {inputs.shape[1]} steps")
        return inputs

    def outputs(self, module: Any, inputs: Tensor) -> Tensor:
        """Return what a module makes of inputs whose steps are all valid."""
        return module(inputs, None)[0]


def trained(module: Any) -> dict[str, Tensor]:
    """Return the parameters that are trained, by name; a check of these does not apply to a module without any."""
    wanted = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    if not wanted:
        raise DoesNotApply("it has no parameters")
    return wanted


def random_like(tensor: Tensor, seed: int = 1) -> Tensor:
    """Return standard normal values of the shape, dtype and device of a tensor."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(tensor.shape, generator=draw, dtype=torch.float32).to(tensor)


def projected(outputs: Tensor) -> Tensor:
    """Return a random linear function of outputs: a loss whose gradient is neither 0 nor the same everywhere."""
    return (outputs * random_like(outputs, seed=3)).sum()

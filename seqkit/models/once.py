"""Autograd functions whose gradient has no gradient."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import function


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse to differentiate a ``backward`` again, as torch's decorator does, and where that says nothing too.

    Torch's looks at the incoming gradient alone: of ``y.sum()`` that is a constant, and a second derivative, which
    goes through the weights and the input as well, would silently be wrong.
    """
    once = function.once_differentiable(backward)

    def checked(ctx: Any, *d_out: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            d_out = tuple(None if d is None else d.detach().requires_grad_() for d in d_out)
        return once(ctx, *d_out)

    return checked

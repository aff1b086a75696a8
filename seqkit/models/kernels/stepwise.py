"""The plain loop over a cell's ``step``: the reference for the faster loops, and the one that every cell has."""

# T time, B batch, I input, H hidden, G all gates of the cell together (their number times H)

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from seqkit.contracts import State
from seqkit.errors import unknown


class Recur:
    """The recurrent half of the gates: ``recur(h_BH)`` of all in order, ``recur(h_BH, "reset")`` of the named one."""

    def __init__(self, gates: Sequence[str], weight_GH: Tensor, bias_G: Tensor) -> None:
        self._all = weight_GH, bias_G
        parts = zip(weight_GH.chunk(len(gates)), bias_G.chunk(len(gates)), strict=True)
        self._one = dict(zip(gates, parts, strict=True))

    def __call__(self, h_BH: Tensor, gate: str | None = None) -> Tensor:
        if gate is None:
            return F.linear(h_BH, *self._all)
        if gate not in self._one:
            raise unknown("gate", gate, self._one)
        return F.linear(h_BH, *self._one[gate])


def stepwise(
    step: Callable[[Tensor, Recur, State], State],
    gates: Sequence[str],
    x_TBI: Tensor,
    lengths_B: Tensor | None,
    weights: tuple[Tensor, ...],
    state: State,
) -> tuple[Tensor, State]:
    """Run one direction of one layer.

    Args:
        step: The cell's.
        gates: Their names in order.
        x_TBI: Input, finite in the padding too.
        lengths_B: Valid steps of each row, None where all are.
        weights: Of the input (G, I) and of the hidden state (G, H), and the bias of each (G,).
        state: Before the first step, one (B, H) a state name.

    Returns:
        The hidden state after every step (T, B, H), and the state after each row's last valid step.
    """
    weight_GI, weight_GH, bias_ih_G, bias_hh_G = weights
    # Under autocast this product is in half precision; the recurrence is in the parameters' own, as errors add up.
    x_TBG = F.linear(x_TBI, weight_GI, bias_ih_G).to(weight_GH.dtype)
    hidden = []
    with torch.autocast(x_TBI.device.type, enabled=False):
        recur = Recur(gates, weight_GH, bias_hh_G)
        for t, x_BG in enumerate(x_TBG.unbind(0)):
            new = step(x_BG, recur, state)
            if lengths_B is not None:
                going_B1 = (t < lengths_B)[:, None]
                new = tuple(torch.where(going_B1, part, old) for part, old in zip(new, state, strict=True))
            state = new
            hidden.append(state[0])
    return torch.stack(hidden), state

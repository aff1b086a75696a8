"""What a cell is: gates, states and one step. The rest is the stack's.

A complete one, as a plugin would write it; ``@register_cell`` makes it ``model=mgu``, with all options of the stack::

    @register_cell("mgu")
    class MGU(nn.Module):
        "Minimal gated unit (Zhou et al. 2016)."

        gates = "forget", "candidate"
        states = ("hidden",)

        def step(self, x_BG, recur, state):
            (h_BH,) = state
            x_f, x_n = x_BG.chunk(2, dim=1)
            f = torch.sigmoid(x_f + recur(h_BH, "forget"))
            n = torch.tanh(x_n + recur(f * h_BH, "candidate"))
            return ((1 - f) * h_BH + f * n,)
"""

# B batch, T time, I input, H hidden, G all gates of the cell together (their number times H)

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from seqkit.contracts import State
from seqkit.models.kernels.stepwise import Recur


class Cell(Protocol):
    """What a cell states. It is an nn.Module, which may have parameters of its own; one runs one direction of a layer.

    It is made as ``cell(hidden_size, *, its own options)``, or as ``cell()`` if it has no ``__init__`` of its own. It
    may also have

    - ``initialise(part)``: set weights after the stack has drawn them; ``part("bias_ih", "forget")`` is one gate's
      rows of ``weight_ih`` (H, I), ``weight_hh`` (H, H), ``bias_ih`` or ``bias_hh`` (H,), to be changed in place;
    - ``kernel``: the function of torch that runs it exactly: ``torch.lstm``, ``torch.gru`` or ``torch.rnn_tanh``;
    - ``fused(x_TBI, lengths_B, weights, state)``: a faster way to run one direction, with the results of ``stepwise``.
    """

    gates: tuple[str, ...]
    """Their names, in the order of the rows of the weights."""
    states: tuple[str, ...]
    """Names of what is carried from step to step. The first is the hidden state, which is also the output."""

    def step(self, x_BG: Tensor, recur: Recur, state: State) -> State:
        """Return the state after one step.

        Args:
            x_BG: Input half of all gates, W x + b, computed for all steps at once.
            recur: ``recur(h_BH)`` is the recurrent half U h + b of all gates (B, G), and ``recur(h_BH, "reset")`` that
                of the gate named (B, H), for a product with something else than the last hidden state.
            state: Before the step, one (B, H) a name in ``states``.
        """
        ...


class Direction(nn.Module):
    """A cell and its weights for one direction of one layer, in torch.nn's layout: ``weight_ih`` (G, I) and so on."""

    def __init__(self, make_cell: Callable[..., Any], input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.cell = make_cell() if has_no_init(make_cell) else make_cell(hidden_size)
        rows = len(self.cell.gates) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        for weight in self.weights:
            nn.init.uniform_(weight, -(hidden_size**-0.5), hidden_size**-0.5)
        if hasattr(self.cell, "initialise"):
            with torch.no_grad():
                self.cell.initialise(self.part)

    @property
    def weights(self) -> tuple[Tensor, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def part(self, name: str, gate: str) -> Tensor:
        """Return the rows of one gate, sharing memory with the parameter ``name``."""
        gates = self.cell.gates
        return getattr(self, name).chunk(len(gates))[gates.index(gate)]


def has_no_init(cell: Callable[..., Any]) -> bool:
    """Whether a cell is a class without an ``__init__`` of its own, so without options."""
    return inspect.isclass(cell) and cell.__init__ is nn.Module.__init__  # type: ignore[misc]


def loops_of(cell: nn.Module) -> tuple[str, ...]:
    """Return the loops that a cell has, fastest first."""
    return tuple(name for name in ("kernel", "fused", "loop") if name == "loop" or hasattr(cell, name))

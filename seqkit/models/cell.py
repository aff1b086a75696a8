"""The contract of a cell: gates, states and one step. The rest is the stack's.

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

# B batch, T time, I input, H hidden, P projected hidden (H without a projection)
# G all gates of the cell together (their number times H)

import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor, nn

from seqkit.contracts.batch import State
from seqkit.errors import PluginError, SeqkitError
from seqkit.faults import brief


class Recur(Protocol):
    """The recurrent projection of the gates, for ``step``."""

    def __call__(self, h_BH: Tensor, gate: str | tuple[str, ...] | None = None, /) -> Tensor:
        """Return U h + c of the gate that is named (B, H), of several side by side, or of all that have a U."""
        ...


class Project(Protocol):
    """The input projection of the gates, for a ``step`` that wants x."""

    def __call__(self, x_BI: Tensor, gate: str | tuple[str, ...] | None = None, /) -> Tensor:
        """Return W x + b of the gate that is named (B, H), of several side by side, or of all (B, G)."""
        ...


class Cell(Protocol):
    """A recurrent cell: an nn.Module, which may have parameters of its own. One runs one direction of a layer.

    It is made as ``cell(hidden_size, *, its own options)``, or as ``cell()`` if it has no ``__init__`` of its own.

    What its gates are made of, and what is carried, it may say with

    - ``recurrent``: the gates that have a recurrent projection: True for all, False for none (as in an SRU), a tuple of
      names, or ``"diagonal"`` for an elementwise u * h of all (as in an IndRNN). ``recur`` and the rows of U are of
      these, in this order;
    - ``driven``: the gates that have an input projection W x, a tuple of names; all without it. The others have their
      bias alone in x_BG, as those of the later micro-steps of a recurrent highway network;
    - ``wants_input = True``: the step is ``step(x_BI, project, recur, state)``. It is given the input itself, and
      ``project(x_BI)`` is what x_BG is otherwise (a Mogrifier changes x by h before W). Its ``__init__`` may then take
      ``(input_size, hidden_size, *, its own options)``;
    - ``state_shapes(hidden_size)``: shapes per row of the states that are not (H,), by name: ``{"fast": (H, H)}`` is
      a state (B, H, H). The hidden state is always (B, H).

    It may also have

    - ``initialise(part)``: set weights after the stack has drawn them; ``part("bias_ih", "forget")`` is one gate's
      rows of ``weight_ih`` (H, I), ``weight_hh`` (H, P), ``bias_ih`` or ``bias_hh`` (H,), to be changed in place;
    - ``forget_bias``: start of the bias of its gate named forget, unless the user says otherwise;
    - ``no_decay``: names of its own parameters that weight decay leaves alone, as it does any vector;
    - ``activations(...)``: a method that ``step`` calls, which returns the values of gates (B, H) by name, for
      ``record_gates``. Without such a call they are traced through the step;
    - ``native``: the function of torch that computes it exactly: ``torch.lstm``, ``torch.gru`` or ``torch.rnn_tanh``;
    - ``fused(x_TBI, projections, masks, state)``: a faster way to run one direction, with the arguments and result of
      ``run_reference``.
    """

    gates: tuple[str, ...]
    """Their names, in the order of the columns of x_BG."""
    states: tuple[str, ...]
    """Names of the states, carried from step to step. The first is the hidden state, which is also the output."""

    def step(self, x_BG: Tensor, recur: Recur, state: State) -> State:
        """Return the state after one step.

        Args:
            x_BG: Input projection W x + b of all gates, computed for all steps at once.
            recur: ``recur(h_BH)`` is the recurrent projection U h + c of all gates (B, G), and ``recur(h_BH, "reset")``
                that of the gate named (B, H), for a product with something else than the last hidden state;
                ``recur(h_BH, ("reset", "update"))`` is that of both (B, 2H). Only the rows asked for are multiplied.
            state: Before the step, one (B, H) per name in ``states``.
        """
        ...


CONTRACT = "gates", "states", "recurrent", "driven", "wants_input", "state_shapes", "step"
"""What a cell computes: a subclass that has one of these of its own has lost the faster backends of its base."""


def has_no_init(cell: Callable[..., Any]) -> bool:
    """Whether a cell is a class without an ``__init__`` of its own, so without options."""
    return inspect.isclass(cell) and cell.__init__ is nn.Module.__init__  # type: ignore[misc]


def sizes_of(cell: Callable[..., Any]) -> int:
    """Return how many sizes a cell, or a function that makes one, takes: 1 (hidden) or 2 (input and hidden)."""
    parameters = inspect.signature(cell).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return max(1, sum(p.default is p.empty for p in positional))


@contextmanager
def faults_of(name: str, method: str) -> Iterator[None]:
    """Turn an error in a cell's method into one line with the author's file and line.

    Raises:
        PluginError: The method raised something else than a refusal.
    """
    try:
        yield
    except SeqkitError:
        raise
    except Exception as error:
        frames = [*traceback.walk_tb(error.__traceback__)]
        frame, line = next((one for one in frames if one[0].f_code.co_name == method), frames[-1])
        where = f"{frame.f_code.co_filename}:{line}"
        raise PluginError(f"{name}.{method} fails ({where}): {brief(error)}") from error


def backends_of(cell: nn.Module) -> tuple[str, ...]:
    """Return the backends that a cell has, fastest first; one that changes its base's step has lost the faster ones."""
    family = [vars(one) for one in (cell, *type(cell).__mro__)]
    first = min(number for number, own in enumerate(family) if own.keys() & set(CONTRACT))
    faster = [name for name in ("native", "fused") if any(name in own for own in family[: first + 1])]
    if getattr(cell, "recurrent", True) == "diagonal" and not hasattr(cell, "state_shapes"):
        faster.append("parallel")
    return (*faster, "compiled", "reference")


@contextmanager
def left_unchanged(cell: nn.Module) -> Iterator[None]:
    """Restore a cell's buffers and attributes after steps that are no part of training or inference."""
    before = [
        (module, dict(vars(module)), [(name, b, b.clone()) for name, b in module._buffers.items() if b is not None])
        for module in cell.modules()
    ]
    try:
        yield
    finally:
        for module, attributes, buffers in before:
            vars(module).clear()
            vars(module).update(attributes)
            for name, buffer, values in buffers:
                module._buffers[name] = buffer.copy_(values)

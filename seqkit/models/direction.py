"""One direction of one layer: a cell and its weights."""

# T time, B batch, I input, H hidden, P projected hidden (H without a projection), S states of the cell
# number of gates times H: G all gates, D those with W, R those with U

from collections.abc import Callable
from math import prod
from typing import Any, Literal, NoReturn

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from seqkit.errors import ConfigError, PluginError, unknown
from seqkit.models.cell import faults_of, has_no_init, sizes_of
from seqkit.models.layout import layout_of, shapes_of
from seqkit.models.projections import Projections, Weights, rows_of
from seqkit.precision import full_precision


class Direction(nn.Module):
    """A cell and its weights for one direction of one layer, in torch.nn's layout: ``weight_ih`` (D, I) and so on.

    There are rows only for the gates that have the weight: ``weight_ih`` (D, I), ``bias_ih`` (G,), ``weight_hh`` (R, P)
    or of a diagonal U (R,), ``bias_hh`` (R,); the last two are None without a U.

    Args:
        make_cell: The cell's class, or a function that makes one from the hidden size, or from input and hidden size.
        input_size: I.
        hidden_size: H.
        projection_size: P; its weight is ``weight_hr`` (P, H).
        layer_norm: Whether to make the gains ``gain_ih`` (D,) and ``gain_hh`` (R,).
        learned_state: Whether to make ``initial``, the state before the first step: (S, H), or one vector for all
            states if a state has a shape of its own.
        forget_bias: Start of the bias of the gate named forget; None leaves it to the cell.
        recurrent_init: How each gate's rows of ``weight_hh`` are drawn.

    Raises:
        ConfigError: An option does nothing for this cell: ``forget_bias`` without a gate named forget, or one that
            needs a matrix U and there is none.
        PluginError: The cell breaks the contract, or its ``__init__`` fails.
    """

    no_decay = "bias_ih", "bias_hh", "gain_ih", "gain_hh", "initial"

    def __init__(
        self,
        make_cell: Callable[..., Any],
        input_size: int,
        hidden_size: int,
        *,
        projection_size: int | None = None,
        layer_norm: bool = False,
        learned_state: bool = False,
        forget_bias: float | None = None,
        recurrent_init: Literal["uniform", "orthogonal"] = "uniform",
    ) -> None:
        super().__init__()
        self.cell = _made(make_cell, input_size, hidden_size)
        self.layout = layout_of(self.cell)
        name = type(self.cell).__name__
        with faults_of(name, "state_shapes"):
            self.state_shapes = shapes_of(self.cell, hidden_size)
        self._refuse_without_matrix("projection_size", projection_size, None)
        self._refuse_without_matrix("recurrent_init", recurrent_init, "uniform")
        rows, driven, recurrent = (
            len(names) * hidden_size for names in (self.layout.gates, self.layout.driven, self.layout.recurrent)
        )
        output_size = projection_size or hidden_size
        self.weight_ih = nn.Parameter(torch.empty(driven, input_size))
        shape = (recurrent,) if self.layout.diagonal else (recurrent, output_size)
        self.weight_hh = nn.Parameter(torch.empty(shape)) if recurrent else None
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(recurrent)) if recurrent else None
        self.weight_hr = nn.Parameter(torch.empty(output_size, hidden_size)) if projection_size else None
        for weight in self.parameters(recurse=False):
            nn.init.uniform_(weight, -(hidden_size**-0.5), hidden_size**-0.5)
        self.gain_ih = nn.Parameter(torch.ones(driven)) if layer_norm else None
        self.gain_hh = nn.Parameter(torch.ones(recurrent)) if layer_norm and recurrent else None
        self.initial = nn.Parameter(torch.zeros(self._initial_shape(hidden_size))) if learned_state else None
        with torch.no_grad():
            if recurrent_init == "orthogonal":
                for gate in self.layout.recurrent:
                    nn.init.orthogonal_(self.part("weight_hh", gate))
            if hasattr(self.cell, "initialise"):
                with faults_of(name, "initialise"):
                    self.cell.initialise(self.part)
            self._set_forget_bias(getattr(self.cell, "forget_bias", None) if forget_bias is None else forget_bias)

    def part(self, name: str, gate: str) -> Tensor:
        """Return the rows of one gate, sharing memory with the parameter ``name``.

        Raises:
            ConfigError: It has none of this gate.
        """
        gates = {"bias_ih": self.layout.gates, "weight_ih": self.layout.driven, "gain_ih": self.layout.driven}
        own = gates.get(name, self.layout.recurrent)
        if gate not in own:
            raise unknown(f"{name} of gate", gate, own)
        return rows_of(getattr(self, name), own, (gate,))

    def projections(self, weight_dropout: float, mask_BH: Tensor | None = None) -> Projections:
        """Return the input and recurrent projection of this call.

        Args:
            weight_dropout: Probability that an element of U is zeroed in this call, if in training.
            mask_BH: Factor of the argument of every recurrent product; None for ones.
        """
        if self.weight_hh is None or self.bias_hh is None:
            weights = Weights(self.weight_ih, self.weight_ih.new_empty(0), self.bias_ih, self.bias_ih.new_empty(0))
            return Projections(self.layout, weights, self.gain_ih)
        weight = F.dropout(self.weight_hh, weight_dropout) if self.training else self.weight_hh
        if self.weight_hr is not None:  # U (R h) as (U R) h: then every loop, and every library, knows projections
            with full_precision(weight.device):
                weight = weight @ self.weight_hr
        weights = Weights(self.weight_ih, weight, self.bias_ih, self.bias_hh)
        return Projections(self.layout, weights, self.gain_ih, self.gain_hh, mask_BH)

    def project(self, h_TBH: Tensor) -> Tensor:
        """Return the output (T, B, P) for the hidden states of all steps."""
        return h_TBH if self.weight_hr is None else F.linear(h_TBH, self.weight_hr)

    def initial_state(self) -> tuple[Tensor, ...]:
        """Return the learned state of a row before the first step, one tensor per state name."""
        assert self.initial is not None
        parts = self.initial.flatten().split([prod(shape) for shape in self.state_shapes])
        return tuple(part.view(shape) for part, shape in zip(parts, self.state_shapes, strict=True))

    def _initial_shape(self, hidden_size: int) -> tuple[int, ...]:
        if set(self.state_shapes) == {(hidden_size,)}:
            return len(self.state_shapes), hidden_size
        return (sum(prod(shape) for shape in self.state_shapes),)

    def _refuse_without_matrix(self, option: str, value: Any, off: Any) -> None:
        if value != off and (self.layout.diagonal or not self.layout.recurrent):
            refuse_idle(self.cell, option, value, off, "has no recurrent matrix U")

    def _set_forget_bias(self, value: float | None) -> None:
        if value is None:
            return
        if "forget" not in self.layout.gates:
            refuse_idle(self.cell, "forget_bias", value, None, "has no gate named forget")
        self.part("bias_ih", "forget").fill_(value)
        if "forget" in self.layout.recurrent:
            self.part("bias_hh", "forget").zero_()


def refuse_idle(cell: Any, option: str, value: Any, off: Any, reason: str) -> NoReturn:
    """Refuse an option that would do nothing for a cell.

    Raises:
        ConfigError: Always.
    """
    use = "null" if off is None else off
    raise ConfigError(f"model.{option}={value}: {type(cell).__name__} {reason}; set model.{option}={use}")


def _made(make_cell: Callable[..., Any], input_size: int, hidden_size: int) -> Any:
    sizes = () if has_no_init(make_cell) else (input_size, hidden_size)[-sizes_of(make_cell) :]
    name = getattr(getattr(make_cell, "func", make_cell), "__name__", "cell")
    cell = None
    try:
        with faults_of(name, "__init__"):
            cell = make_cell(*sizes)
    except PluginError as error:
        if "Module.__init__() call" not in str(error):
            raise
    if cell is None or "_modules" not in vars(cell):
        raise PluginError(f"{name}.__init__ must call super().__init__() first")
    return cell

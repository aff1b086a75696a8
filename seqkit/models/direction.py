"""One direction of one layer: a cell and its weights."""

# T time, B batch, I input, H hidden, P projected hidden (H without a projection), S states of the cell
# G all gates of the cell together (their number times H)

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from seqkit.errors import ConfigError, PluginError
from seqkit.models.cell import has_no_init
from seqkit.models.projections import Projections, Weights


class Direction(nn.Module):
    """A cell and its weights for one direction of one layer, in torch.nn's layout: ``weight_ih`` (G, I) and so on.

    Args:
        make_cell: The cell's class, or a function that makes one from the hidden size.
        input_size: I.
        hidden_size: H.
        projection_size: P; its weight is ``weight_hr`` (P, H).
        layer_norm: Whether to make the gains ``gain_ih`` and ``gain_hh`` (G,).
        learned_state: Whether to make ``initial`` (S, H), the state before the first step.
        forget_bias: Start of the bias of the gate named forget; None leaves it to the cell.
        recurrent_init: How each gate's rows of ``weight_hh`` are drawn.

    Raises:
        ConfigError: ``forget_bias`` is given and the cell has no gate named forget.
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
        self.cell = _made(make_cell, hidden_size)
        rows, output_size = len(self.cell.gates) * hidden_size, projection_size or hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, output_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        self.weight_hr = nn.Parameter(torch.empty(output_size, hidden_size)) if projection_size else None
        for weight in self.parameters(recurse=False):
            nn.init.uniform_(weight, -(hidden_size**-0.5), hidden_size**-0.5)
        self.gain_ih = nn.Parameter(torch.ones(rows)) if layer_norm else None
        self.gain_hh = nn.Parameter(torch.ones(rows)) if layer_norm else None
        self.initial = nn.Parameter(torch.zeros(len(self.cell.states), hidden_size)) if learned_state else None
        with torch.no_grad():
            if recurrent_init == "orthogonal":
                for gate in self.cell.gates:
                    nn.init.orthogonal_(self.part("weight_hh", gate))
            if hasattr(self.cell, "initialise"):
                self.cell.initialise(self.part)
            self._set_forget_bias(getattr(self.cell, "forget_bias", None) if forget_bias is None else forget_bias)

    def part(self, name: str, gate: str) -> Tensor:
        """Return the rows of one gate, sharing memory with the parameter ``name``."""
        gates = self.cell.gates
        return getattr(self, name).chunk(len(gates))[gates.index(gate)]

    def projections(self, weight_dropout: float, mask_BH: Tensor | None = None) -> Projections:
        """Return the input and recurrent projection of this call.

        Args:
            weight_dropout: Probability that an element of U is zeroed in this call, if in training.
            mask_BH: Factor of the argument of every recurrent product; None for ones.
        """
        weight = F.dropout(self.weight_hh, weight_dropout, self.training)
        if self.weight_hr is not None:  # U (R h) as (U R) h: then every loop, and every library, knows projections
            with torch.autocast(weight.device.type, enabled=False):
                weight = weight @ self.weight_hr
        weights = Weights(self.weight_ih, weight, self.bias_ih, self.bias_hh)
        return Projections(self.cell.gates, weights, self.gain_ih, self.gain_hh, mask_BH)

    def project(self, h_TBH: Tensor) -> Tensor:
        """Return the output (T, B, P) for the hidden states of all steps."""
        return h_TBH if self.weight_hr is None else F.linear(h_TBH, self.weight_hr)

    def _set_forget_bias(self, value: float | None) -> None:
        if value is None:
            return
        if "forget" not in self.cell.gates:
            name = type(self.cell).__name__
            raise ConfigError(f"model.forget_bias={value}: {name} has no gate named forget; set model.forget_bias=null")
        self.part("bias_ih", "forget").fill_(value)
        self.part("bias_hh", "forget").zero_()


def _made(make_cell: Callable[..., Any], hidden_size: int) -> Any:
    try:
        cell = make_cell() if has_no_init(make_cell) else make_cell(hidden_size)
        complete = "_modules" in vars(cell)
    except AttributeError as error:
        if "Module.__init__() call" not in str(error):
            raise
        complete = False
    if not complete:
        name = getattr(getattr(make_cell, "func", make_cell), "__name__", "cell")
        raise PluginError(f"{name}.__init__ must call super().__init__() first")
    return cell

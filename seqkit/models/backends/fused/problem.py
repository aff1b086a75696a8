"""One direction of a layer over time, as the fused loops take it, and the protocol of such loops."""

# T time, B batch, H hidden, G all gates: 4H, or 3H for a coupled LSTM and for a GRU
# hs, cs: states of steps 0 (the initial one) to T

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from seqkit.models.regularisation import ZoneoutMask


class LSTMProblem(NamedTuple):
    """An LSTM layer's direction. ``forward`` turns ``a_TBG`` into activated gates and fills in ``hs`` and ``cs``.

    Attributes:
        a_TBG: Input projection of the gates input, forget, cell and output; of a coupled LSTM without the first.
        weight_GH: Recurrent weights U.
        gain_G: Of the layer normalisation of U h, None without.
        peephole_3H: From the cell state to the input, forget and output gate, None without.
        mask_BH: Factor of the argument of every recurrent product, None for ones.
        zoneout_h: Zoneout mask of the hidden state.
        zoneout_c: Zoneout mask of the cell state.
        hs: Hidden states (T + 1, B, H), the first given.
        cs: Cell states (T + 1, B, H), the first given.
    """

    a_TBG: Tensor
    weight_GH: Tensor
    gain_G: Tensor | None
    peephole_3H: Tensor | None
    mask_BH: Tensor | None
    zoneout_h: ZoneoutMask
    zoneout_c: ZoneoutMask
    hs: Tensor
    cs: Tensor


class GRUProblem(NamedTuple):
    """A GRU layer's direction. ``forward`` turns ``a_TBG`` into activated gates and fills in ``hs``.

    Attributes:
        a_TBG: Input projection of the gates reset, update and candidate.
        weight_GH: Recurrent weights U.
        bias_G: Recurrent bias.
        gain_G: Of the layer normalisation of U h, None without.
        mask_BH: Factor of the argument of every recurrent product, None for ones.
        zoneout: Zoneout mask of the hidden state.
        hs: Hidden states (T + 1, B, H), the first given.
    """

    a_TBG: Tensor
    weight_GH: Tensor
    bias_G: Tensor
    gain_G: Tensor | None
    mask_BH: Tensor | None
    zoneout: ZoneoutMask
    hs: Tensor


class Loops(Protocol):
    """Loops over time, forwards and backwards. The problem of a backward pass is as the forward pass left it."""

    language: str
    """What they are written in: "C"."""
    description: str
    """Where they run, in words."""

    def unavailable_reason(self, device: torch.device, dtype: torch.dtype) -> str:
        """Return why these loops cannot be used, or an empty string. The first call may take seconds."""
        ...

    def lstm_forward(self, problem: LSTMProblem) -> Tensor | None:
        """Run forwards; return U h before it was normalised (T, B, G), None without layer normalisation."""
        ...

    def lstm_backward(
        self, problem: LSTMProblem, raw: Tensor | None, dh_TBH: Tensor | None, dc_TBH: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the gradients of the gates, of U h (both T, B, G), and of both initial states.

        Args:
            problem: After ``lstm_forward``.
            raw: As ``lstm_forward`` returned it.
            dh_TBH: Gradient of the hidden states, None for zero.
            dc_TBH: Gradient of the cell states, None for zero.
        """
        ...

    def gru_forward(self, problem: GRUProblem) -> tuple[Tensor, Tensor | None]:
        """Run forwards; return U_n h + c_n of every step (T, B, H), and U h before it was normalised as of an LSTM."""
        ...

    def gru_backward(
        self, problem: GRUProblem, u_n_TBH: Tensor, raw: Tensor | None, dh_TBH: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the gradients of the input projection, the recurrent projection, U h (T, B, G), and the initial state.

        Args:
            problem: After ``gru_forward``.
            u_n_TBH: As ``gru_forward`` returned it.
            raw: Likewise.
            dh_TBH: Gradient of the hidden states.
        """
        ...

"""minGRU and minLSTM: recurrent layers whose gates do not read the hidden state, so that a parallel scan trains them.

Feng et al. 2024, "Were RNNs all we needed?", arXiv:2410.01201; the equations in log space are those of its appendix B.
"""

# B batch, T time, I input, H hidden, L layers

from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field, PositiveInt
from torch import Tensor, nn

import seqkit

Probability = Annotated[float, Field(ge=0, lt=1)]


@seqkit.register_model("mingru")
def mingru(
    input_size: int,
    *,
    hidden_size: PositiveInt = 256,
    num_layers: PositiveInt = 1,
    dropout: Probability = 0.0,
    residual: bool = False,
) -> nn.Module:
    """Minimal GRU, minGRU (Feng et al. 2024): a GRU whose update gate and candidate read the input alone.

    z_t = sigmoid(W_z x_t + b_z)
    n_t = g(W_n x_t + b_n), where g(a) = a + 0.5 from a = 0 on, sigmoid(a) below
    h_t = (1 - z_t) * h_{t-1} + z_t * n_t

    Args:
        input_size: Features of each step of the input.
        hidden_size: Size of the hidden state of each layer.
        num_layers: Layers on top of each other.
        dropout: Probability that a feature between two layers is zeroed in a training step.
        residual: Add the input of each layer from the second on to its output.
    """
    return MinRNN(MinGRU, input_size, hidden_size, num_layers, dropout, residual)


@seqkit.register_model("minlstm")
def minlstm(
    input_size: int,
    *,
    hidden_size: PositiveInt = 256,
    num_layers: PositiveInt = 1,
    dropout: Probability = 0.0,
    residual: bool = False,
) -> nn.Module:
    """Minimal LSTM, minLSTM (Feng et al. 2024): an LSTM whose gates read the input alone and add up to 1.

    f_t, i_t = sigmoid(W_f x_t + b_f), sigmoid(W_i x_t + b_i)
    n_t = g(W_n x_t + b_n), where g(a) = a + 0.5 from a = 0 on, sigmoid(a) below
    h_t = f_t / (f_t + i_t) * h_{t-1} + i_t / (f_t + i_t) * n_t

    Args:
        input_size: Features of each step of the input.
        hidden_size: Size of the hidden state of each layer.
        num_layers: Layers on top of each other.
        dropout: Probability that a feature between two layers is zeroed in a training step.
        residual: Add the input of each layer from the second on to its output.
    """
    return MinRNN(MinLSTM, input_size, hidden_size, num_layers, dropout, residual)


class MinRNN(nn.Module):
    """Layers of minGRU or minLSTM on top of each other.

    Args:
        gates: Class that makes the gates of one layer.
        input_size: Features of each step of the input.
        hidden_size: As the models have it, like the rest.
        num_layers: Layers.
        dropout: Between layers.
        residual: From the second layer on.
    """

    causal = True
    states = ("hidden",)

    def __init__(
        self,
        gates: type["MinGRU"] | type["MinLSTM"],
        input_size: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        residual: bool,
    ) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.dropout = dropout
        self.residual = residual
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        self.gates = nn.ModuleList(gates(size, hidden_size) for size in sizes)

    def initial_state(self, batch_size: int) -> tuple[Tensor]:
        """Return the hidden state before the first step (L, B, H): g(0), as in the paper."""
        weight = next(self.parameters())
        return (weight.new_full((len(self.gates), batch_size, self.output_size), 0.5),)

    def forward(
        self, x_BTI: Tensor, lengths_B: Tensor | None = None, state: tuple[Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor]]:
        """Return y_BTH, zero at padded steps, and the hidden state after the last valid step of each row."""
        (start_LBH,) = self.initial_state(len(x_BTI)) if state is None else state
        steps_T = torch.arange(x_BTI.shape[1], device=x_BTI.device)
        padding_BT1 = None if lengths_B is None else (steps_T >= lengths_B[:, None])[:, :, None]
        y_BTH, ends = _zeroed(x_BTI, padding_BT1), []
        for number, (gates, start_BH) in enumerate(zip(self.gates, start_LBH.unbind(0), strict=True)):
            x_BTI = F.dropout(y_BTH, self.dropout, self.training) if number else y_BTH
            log_keep_BTH, log_new_BTH = gates(x_BTI)
            h_BTH = scan(log_keep_BTH, log_new_BTH, start_BH)
            ends.append(_after_last(h_BTH, lengths_B, start_BH))
            y_BTH = _zeroed(h_BTH + x_BTI if self.residual and number else h_BTH, padding_BT1)
        return y_BTH, (torch.stack(ends),)


class MinGRU(nn.Module):
    """Gates of a minGRU layer: the logarithms of 1 - z and of z * n, each (B, T, H)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, 2 * hidden_size)

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        z_BTH, n_BTH = self.linear(x_BTI).chunk(2, -1)
        return -F.softplus(z_BTH), log_g(n_BTH) - F.softplus(-z_BTH)


class MinLSTM(nn.Module):
    """Gates of a minLSTM layer: the logarithms of f / (f + i) and of i / (f + i) * n, each (B, T, H)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, 3 * hidden_size)

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        f_BTH, i_BTH, n_BTH = self.linear(x_BTI).chunk(3, -1)
        odds_BTH = F.softplus(-i_BTH) - F.softplus(-f_BTH)  # log(f / i)
        return -F.softplus(-odds_BTH), log_g(n_BTH) - F.softplus(odds_BTH)


def log_g(a: Tensor) -> Tensor:
    """Return the logarithm of g, which keeps a candidate positive: log(a + 0.5) from a = 0 on, log sigmoid(a) below."""
    return torch.where(a >= 0, (F.relu(a) + 0.5).log(), -F.softplus(-a))


def scan(log_keep_BTH: Tensor, log_new_BTH: Tensor, start_BH: Tensor) -> Tensor:
    """Return h_BTH of h_t = keep_t * h_{t-1} + new_t for all steps at once (Heinsen 2023, arXiv:2311.06281).

    In float64: the sum of log_keep grows with the number of steps, and with it the rounding that stays in h.
    """
    log_kept_BTH = log_keep_BTH.double().cumsum(1)  # of what was there before the first step
    log_start_B1H = start_BH.double().log()[:, None]
    log_sums_BSH = torch.cat((log_start_B1H, log_new_BTH.double() - log_kept_BTH), 1).logcumsumexp(1)
    return (log_kept_BTH + log_sums_BSH[:, 1:]).exp().to(start_BH.dtype)


def _zeroed(y_BTH: Tensor, padding_BT1: Tensor | None) -> Tensor:
    """Return y_BTH with zeros for padding, which may hold NaN."""
    return y_BTH if padding_BT1 is None else y_BTH.masked_fill(padding_BT1, 0)


def _after_last(h_BTH: Tensor, lengths_B: Tensor | None, start_BH: Tensor) -> Tensor:
    """Return the hidden state after the last valid step of each row, of an empty row its start."""
    if lengths_B is None:
        return h_BTH[:, -1]
    with_start_BSH = torch.cat((start_BH[:, None], h_BTH), 1)
    return with_start_BSH[torch.arange(len(h_BTH), device=h_BTH.device), lengths_B]

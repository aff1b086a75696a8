"""Mogrifier LSTM."""

# B batch, I input, H hidden

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import nn

import seqkit


@seqkit.register_cell("mogrifier")
class Mogrifier(nn.Module):
    """LSTM whose input and last hidden state gate each other first (Melis et al. 2020, arXiv:1909.01792).

    x^i = 2 sigmoid(Q^i h^{i-1}) * x^{i-2} in the rounds i = 1, 3, 5, ..., from x^{-1} = x_t
    h^i = 2 sigmoid(R^i x^{i-1}) * h^{i-2} in the rounds i = 2, 4, ..., from h^0 = h_{t-1}
    i_t, f_t, o_t = sigmoid(W x + U h + b) each, n_t = tanh(W_n x + U_n h + b_n), of the last x and h
    c_t = f_t * c_{t-1} + i_t * n_t
    h_t = o_t * tanh(c_t)

    Args:
        rounds: Rounds of gating before each step; 0 for an LSTM.
        rank: Rank of the matrices Q and R, each a product of two; null for full matrices.
    """

    gates = "input", "forget", "cell", "output"
    states = "hidden", "cell"
    wants_input = True
    forget_bias = 1.0

    def __init__(
        self, input_size: int, hidden_size: int, *, rounds: NonNegativeInt = 5, rank: PositiveInt | None = None
    ) -> None:
        super().__init__()
        sizes = [(hidden_size, input_size), (input_size, hidden_size)]  # of Q, of R
        self.rounds = nn.ModuleList(_matrix(*sizes[number % 2], rank) for number in range(rounds))

    def step(self, x_BI, project, recur, state):
        h_BH, c_BH = state
        for number, matrix in enumerate(self.rounds):
            if number % 2 == 0:
                x_BI = 2 * torch.sigmoid(matrix(h_BH)) * x_BI
            else:
                h_BH = 2 * torch.sigmoid(matrix(x_BI)) * h_BH
        i, f, n, o = (project(x_BI) + recur(h_BH)).chunk(4, dim=1)
        c_BH = torch.sigmoid(f) * c_BH + torch.sigmoid(i) * torch.tanh(n)
        return torch.sigmoid(o) * torch.tanh(c_BH), c_BH


def _matrix(inputs: int, outputs: int, rank: int | None) -> nn.Module:
    if rank is None:
        return nn.Linear(inputs, outputs, bias=False)
    return nn.Sequential(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=False))

"""A recurrent cell."""

# B batch, H hidden, G = H: one gate

import torch
from pydantic import PositiveFloat
from torch import nn

import seqkit


@seqkit.register_cell("example")
class ExampleCell(nn.Module):
    """A leaky unit, each with a rate of its own.

    a = sigmoid(r)
    n_t = tanh(W x_t + b + U h_{t-1} + c)
    h_t = (1 - a) * h_{t-1} + a * n_t

    Args:
        slowest: Mean delay of the slowest unit at the start, (1 - a) / a steps; that of the fastest is 1.
    """

    gates = ("candidate",)
    states = ("hidden",)
    no_decay = ("rate_H",)

    def __init__(self, hidden_size: int, *, slowest: PositiveFloat = 10.0) -> None:
        super().__init__()
        delay_H = torch.linspace(1, slowest, hidden_size)
        self.rate_H = nn.Parameter(-delay_H.log())

    def step(self, x_BG, recur, state):
        (h_BH,) = state
        a = torch.sigmoid(self.rate_H)
        n = torch.tanh(x_BG + recur(h_BH))
        return ((1 - a) * h_BH + a * n,)

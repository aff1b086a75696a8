"""Minimal gated unit."""

# B batch, H hidden, G = 2H gates

import torch
from torch import nn

import seqkit


@seqkit.register_cell("mgu")
class MGU(nn.Module):
    """Minimal gated unit (Zhou et al. 2016, arXiv:1603.09420): a GRU whose one gate both resets and updates.

    f_t = sigmoid(W_f x_t + b_f + U_f h_{t-1} + c_f)
    n_t = tanh(W_n x_t + b_n + U_n (f_t * h_{t-1}) + c_n)
    h_t = (1 - f_t) * h_{t-1} + f_t * n_t
    """

    gates = "forget", "candidate"
    states = ("hidden",)

    def step(self, x_BG, recur, state):
        (h_BH,) = state
        x_f, x_n = x_BG.chunk(2, dim=1)
        f = torch.sigmoid(x_f + recur(h_BH, "forget"))
        n = torch.tanh(x_n + recur(f * h_BH, "candidate"))
        return ((1 - f) * h_BH + f * n,)

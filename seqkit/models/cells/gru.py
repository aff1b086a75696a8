"""Gated recurrent unit."""

# B batch, H hidden, G = 3H gates

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import State
from seqkit.models.backends.fused.functions import fused_gru
from seqkit.models.cell import Recur
from seqkit.models.register import register_cell


@register_cell("gru")
class GRU(nn.Module):
    """Gated recurrent unit (Cho et al. 2014), the reset gate applied after the recurrent product as in cuDNN and torch.

    r_t = sigmoid(W_r x_t + b_r + U_r h_{t-1} + c_r)
    z_t = sigmoid(W_z x_t + b_z + U_z h_{t-1} + c_z)
    n_t = tanh(W_n x_t + b_n + r_t * (U_n h_{t-1} + c_n))
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}
    """

    gates = "reset", "update", "candidate"
    states = ("hidden",)
    native = torch.gru
    fused = fused_gru

    def step(self, x_BG: Tensor, recur: Recur, state: State) -> State:
        (h_BH,) = state
        x_r, x_z, x_n = x_BG.chunk(3, dim=1)
        u_r, u_z, u_n = recur(h_BH).chunk(3, dim=1)
        r = torch.sigmoid(x_r + u_r)
        z = torch.sigmoid(x_z + u_z)
        n = torch.tanh(x_n + r * u_n)
        return ((1 - z) * n + z * h_BH,)

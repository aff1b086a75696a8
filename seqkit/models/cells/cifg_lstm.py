"""Long short-term memory with coupled input and forget gates."""

# T time, B batch, I input, H hidden, G = 3H gates

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import State
from seqkit.models.backends.fused.functions import fused_lstm
from seqkit.models.cell import Recur
from seqkit.models.register import register_cell


@register_cell("cifg_lstm")
class CIFGLSTM(nn.Module):
    """LSTM with coupled input and forget gates (CIFG; Greff et al. 2017): a quarter fewer weights.

    f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)
    c_t = f_t * c_{t-1} + (1 - f_t) * tanh(W_c x_t + U_c h_{t-1} + b_c)
    o_t = sigmoid(W_o x_t + U_o h_{t-1} + b_o)
    h_t = o_t * tanh(c_t)
    """

    gates = "forget", "cell", "output"
    states = "hidden", "cell"
    fused = fused_lstm
    forget_bias = 1.0

    def step(self, x_BG: Tensor, recur: Recur, state: State) -> State:
        h_BH, c_BH = state
        f, g, o = (x_BG + recur(h_BH)).chunk(3, dim=1)
        f = torch.sigmoid(f)
        c_BH = f * c_BH + (1 - f) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c_BH), c_BH

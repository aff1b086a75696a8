"""Long short-term memory."""

# B batch, H hidden, G = 4H gates

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import State
from seqkit.models.backends.fused.functions import fused_lstm
from seqkit.models.cell import Recur
from seqkit.models.register import register_cell


@register_cell("lstm")
class LSTM(nn.Module):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; with forget gate, Gers et al. 2000).

    i_t = sigmoid(W_i x_t + U_i h_{t-1} + b_i)
    f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)
    c_t = f_t * c_{t-1} + i_t * tanh(W_c x_t + U_c h_{t-1} + b_c)
    o_t = sigmoid(W_o x_t + U_o h_{t-1} + b_o)
    h_t = o_t * tanh(c_t)
    """

    gates = "input", "forget", "cell", "output"
    states = "hidden", "cell"
    native = torch.lstm
    fused = fused_lstm
    forget_bias = 1.0

    def step(self, x_BG: Tensor, recur: Recur, state: State) -> State:
        h_BH, c_BH = state
        i, f, g, o = (x_BG + recur(h_BH)).chunk(4, dim=1)
        c_BH = torch.sigmoid(f) * c_BH + torch.sigmoid(i) * torch.tanh(g)
        h_BH = torch.sigmoid(o) * torch.tanh(c_BH)
        return h_BH, c_BH

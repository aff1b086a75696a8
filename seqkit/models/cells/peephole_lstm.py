"""Long short-term memory with peepholes."""

# T time, B batch, I input, H hidden, G = 4H gates

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import State
from seqkit.models.backends.fused.functions import fused_lstm
from seqkit.models.cell import Recur
from seqkit.models.register import register_cell


@register_cell("peephole_lstm")
class PeepholeLSTM(nn.Module):
    """LSTM whose gates see the cell state (Gers and Schmidhuber 2000; Gers, Schraudolph and Schmidhuber 2002).

    i_t = sigmoid(W_i x_t + U_i h_{t-1} + p_i * c_{t-1} + b_i)
    f_t = sigmoid(W_f x_t + U_f h_{t-1} + p_f * c_{t-1} + b_f)
    c_t = f_t * c_{t-1} + i_t * tanh(W_c x_t + U_c h_{t-1} + b_c)
    o_t = sigmoid(W_o x_t + U_o h_{t-1} + p_o * c_t + b_o)
    h_t = o_t * tanh(c_t)

    The peepholes start at zero, so that training starts from the plain LSTM: c is not bounded, and random peepholes
    would let it open and shut gates before anything is learned. Their gradient is not zero there.
    """

    gates = "input", "forget", "cell", "output"
    states = "hidden", "cell"
    fused = fused_lstm
    forget_bias = 1.0
    no_decay = ("peephole",)

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.peephole = nn.Parameter(torch.zeros(3, hidden_size))  # of the input, forget and output gate

    def step(self, x_BG: Tensor, recur: Recur, state: State) -> State:
        h_BH, c_BH = state
        p_i, p_f, p_o = self.peephole.unbind(0)
        i, f, g, o = (x_BG + recur(h_BH)).chunk(4, dim=1)
        i = torch.sigmoid(i + p_i * c_BH)
        f = torch.sigmoid(f + p_f * c_BH)
        c_BH = f * c_BH + i * torch.tanh(g)
        o = torch.sigmoid(o + p_o * c_BH)
        return o * torch.tanh(c_BH), c_BH

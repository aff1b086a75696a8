"""Long short-term memory whose recurrence is diagonal."""

# B batch, H hidden, G = 3H gates

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import State
from seqkit.models.cell import Recur
from seqkit.models.register import register_cell


@register_cell("diagonal_lstm")
class DiagonalLSTM(nn.Module):
    """LSTM with coupled gates, peepholes and vectors for U, as in ParaRNN (Danieli et al. 2025, arXiv:2510.21450).

    f_t = sigmoid(W_f x_t + u_f * h_{t-1} + p_f * c_{t-1} + b_f)
    c_t = f_t * c_{t-1} + (1 - f_t) * tanh(W_c x_t + u_c * h_{t-1} + b_c)
    o_t = sigmoid(W_o x_t + u_o * h_{t-1} + p_o * c_t + b_o)
    h_t = o_t * tanh(c_t)

    Each unit sees of the last state only itself, so backend=parallel runs it over all steps at once. Units meet in W
    only, that of the next layer or of the head: take several layers. The peepholes start at zero, as in peephole_lstm.
    """

    gates = "forget", "cell", "output"
    states = "hidden", "cell"
    recurrent = "diagonal"
    forget_bias = 1.0
    no_decay = ("peephole",)

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.peephole = nn.Parameter(torch.zeros(2, hidden_size))  # of the forget and output gate

    def step(self, x_BG: Tensor, recur: Recur, state: State) -> State:
        h_BH, c_BH = state
        p_f, p_o = self.peephole.unbind(0)
        f, g, o = (x_BG + recur(h_BH)).chunk(3, dim=1)
        f = torch.sigmoid(f + p_f * c_BH)
        c_BH = f * c_BH + (1 - f) * torch.tanh(g)
        o = torch.sigmoid(o + p_o * c_BH)
        return o * torch.tanh(c_BH), c_BH

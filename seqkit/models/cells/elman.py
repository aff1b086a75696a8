"""The plain recurrent network."""

# B batch, H hidden; its one gate has the size of the hidden state

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import State
from seqkit.models.cell import Recur
from seqkit.models.register import register_cell


@register_cell("elman")
class Elman(nn.Module):
    """The plain recurrent network (Elman 1990), whose gradients vanish over long sequences.

    h_t = tanh(W x_t + U h_{t-1} + b)
    """

    gates = ("hidden",)
    states = ("hidden",)
    native = torch.rnn_tanh

    def step(self, x_BH: Tensor, recur: Recur, state: State) -> State:
        (h_BH,) = state
        return (torch.tanh(x_BH + recur(h_BH)),)

"""Gated recurrent unit whose recurrence is diagonal."""

from torch import nn

from seqkit.models.cells.gru import GRU
from seqkit.models.register import register_cell


@register_cell("diagonal_gru")
class DiagonalGRU(nn.Module):
    """GRU with vectors for U, so that backend=parallel runs it over all steps at once (ParaRNN, Danieli et al. 2025).

    r_t = sigmoid(W_r x_t + b_r + u_r * h_{t-1} + c_r)
    z_t = sigmoid(W_z x_t + b_z + u_z * h_{t-1} + c_z)
    n_t = tanh(W_n x_t + b_n + r_t * (u_n * h_{t-1} + c_n))
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}

    Units meet in W only, that of the next layer or of the head: take several layers.
    """

    gates = "reset", "update", "candidate"
    states = ("hidden",)
    recurrent = "diagonal"
    step = GRU.step

"""Plugins of one file: five cells, each in need of another part of the contract."""

# B batch, I input, H hidden, G all gates of the cell together (their number times H)

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import PositiveInt
from torch import nn

import seqkit


@seqkit.register_cell("indrnn")
class IndRNN(nn.Module):
    """Independently recurrent network (Li et al. 2018, arXiv:1803.04831): each unit sees of the last state only itself.

    h_t = relu(W x_t + u * h_{t-1} + b)
    """

    gates = ("hidden",)
    states = ("hidden",)
    recurrent = "diagonal"

    def initialise(self, part):
        nn.init.uniform_(part("weight_hh", "hidden"), 0, 1)

    def step(self, x_BH, recur, state):
        (h_BH,) = state
        return (torch.relu(x_BH + recur(h_BH)),)


@seqkit.register_cell("sru")
class SRU(nn.Module):
    """Simple recurrent unit (Lei et al. 2018, arXiv:1709.02755): no matrix in the recurrence, and x on to the output.

    f_t = sigmoid(W_f x_t + v_f * c_{t-1} + b_f)
    r_t = sigmoid(W_r x_t + v_r * c_{t-1} + b_r)
    c_t = f_t * c_{t-1} + (1 - f_t) * (W x_t + b)
    h_t = r_t * c_t + (1 - r_t) * V x_t, where V is the identity if input and state have one size
    """

    gates = "candidate", "forget", "reset"
    states = "hidden", "cell"
    recurrent = False
    wants_input = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.peephole_f = nn.Parameter(torch.zeros(hidden_size))
        self.peephole_r = nn.Parameter(torch.zeros(hidden_size))
        self.skip = nn.Identity() if input_size == hidden_size else nn.Linear(input_size, hidden_size, bias=False)

    def step(self, x_BI, project, recur, state):
        _, c_BH = state
        n, f, r = project(x_BI).chunk(3, dim=1)
        f = torch.sigmoid(f + self.peephole_f * c_BH)
        r = torch.sigmoid(r + self.peephole_r * c_BH)
        c_BH = f * c_BH + (1 - f) * n
        return r * c_BH + (1 - r) * self.skip(x_BI), c_BH


@seqkit.register_cell("mlstm")
class MultiplicativeLSTM(nn.Module):
    """Multiplicative LSTM (Krause et al. 2016, arXiv:1609.07959): the gates see a product of input and last state.

    m_t = (W_m x_t + b_m) * (U_m h_{t-1} + c_m)
    i_t, f_t, o_t = sigmoid(W x_t + U m_t + b) each, n_t = tanh(W_n x_t + U_n m_t + b_n)
    c_t = f_t * c_{t-1} + i_t * n_t
    h_t = o_t * tanh(c_t)
    """

    gates = "product", "input", "forget", "cell", "output"
    states = "hidden", "cell"
    forget_bias = 1.0

    def step(self, x_BG, recur, state):
        h_BH, c_BH = state
        x_m, x_i, x_f, x_n, x_o = x_BG.chunk(5, dim=1)
        m_BH = x_m * recur(h_BH, "product")
        u_i, u_f, u_n, u_o = recur(m_BH, ("input", "forget", "cell", "output")).chunk(4, dim=1)
        c_BH = torch.sigmoid(x_f + u_f) * c_BH + torch.sigmoid(x_i + u_i) * torch.tanh(x_n + u_n)
        return torch.sigmoid(x_o + u_o) * torch.tanh(c_BH), c_BH


@seqkit.register_cell("rhn")
class RecurrentHighway(nn.Module):
    """Recurrent highway network (Zilly et al. 2017, arXiv:1607.03474): several micro-steps a step, x at the first.

    n_l = tanh([l = 1] W_n x_t + U_n,l s_{l-1} + b_n,l)
    t_l = sigmoid([l = 1] W_t x_t + U_t,l s_{l-1} + b_t,l)
    s_l = t_l * n_l + (1 - t_l) * s_{l-1}, from s_0 = h_{t-1} to h_t = s_depth

    Args:
        depth: Micro-steps of a step.
    """

    gates = driven = "candidate1", "transform1"
    states = ("hidden",)

    def __init__(self, hidden_size: int, *, depth: PositiveInt = 3) -> None:
        super().__init__()
        self.pairs = [(f"candidate{micro}", f"transform{micro}") for micro in range(1, depth + 1)]
        self.gates = tuple(gate for pair in self.pairs for gate in pair)

    def step(self, x_BG, recur, state):
        (s_BH,) = state
        for x_B2H, pair in zip(x_BG.chunk(len(self.pairs), dim=1), self.pairs, strict=True):
            n, t = (x_B2H + recur(s_BH, pair)).chunk(2, dim=1)
            s_BH = torch.lerp(s_BH, torch.tanh(n), torch.sigmoid(t))
        return (s_BH,)


@seqkit.register_cell("fast_weights")
class FastWeights(nn.Module):
    """Fast weights (Ba et al. 2016, arXiv:1610.06258): a matrix of each sequence's own remembers its last states.

    A_t = decay * A_{t-1} + rate * h_{t-1} h_{t-1}^T
    a_t = W x_t + U h_{t-1} + b
    h_t = tanh(normalised(a_t + A_t tanh(a_t)))

    Args:
        decay: What is left of the fast weights after a step.
        rate: What a state adds to them.
    """

    gates = ("hidden",)
    states = "hidden", "fast"

    def __init__(self, hidden_size: int, *, decay: float = 0.95, rate: float = 0.5) -> None:
        super().__init__()
        self.decay, self.rate = decay, rate

    def state_shapes(self, hidden_size):
        return {"fast": (hidden_size, hidden_size)}

    def step(self, x_BH, recur, state):
        h_BH, A_BHH = state
        A_BHH = self.decay * A_BHH + self.rate * h_BH[:, :, None] * h_BH[:, None, :]
        a_BH = x_BH + recur(h_BH)
        seen_BH = (A_BHH @ torch.tanh(a_BH)[:, :, None])[:, :, 0]
        return torch.tanh(F.layer_norm(a_BH + seen_BH, h_BH.shape[1:])), A_BHH

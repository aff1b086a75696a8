"""Whole models of a plugin: convolutions with a carried state, attention without a state, attention with a cache."""

# B batch, T time, I input, H hidden, P steps kept from before a chunk, S = P + T

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

import seqkit

State = tuple[Tensor, ...]


def zeroed(x_BTI: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Return the steps with zeros for padding."""
    if lengths_B is None:
        return x_BTI
    steps_T = torch.arange(x_BTI.shape[1], device=x_BTI.device)
    return x_BTI.masked_fill((steps_T >= lengths_B[:, None])[:, :, None], 0)


def last(kept: int, x_BSI: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Return the last steps up to each row's last valid one, as many as are kept, of the kept and the new ones."""
    rows, steps, _ = x_BSI.shape
    ends_B = torch.full((rows,), steps - kept, device=x_BSI.device) if lengths_B is None else lengths_B
    from_BP1 = (ends_B[:, None] + torch.arange(kept, device=x_BSI.device))[:, :, None]
    return x_BSI.gather(1, from_BP1.expand(-1, -1, x_BSI.shape[2]))


@seqkit.register_model("tcn")
class TCN(nn.Module):
    """Temporal convolutional network (Bai et al. 2018): dilated causal convolutions, residual.

    The state of a layer is the steps of its input that the next chunk still needs; zeros before the first step.

    Args:
        input_size: Features of each step of the input.
        hidden_size: Channels.
        num_layers: Layers, each with twice the dilation of the one before.
    """

    causal = True
    kernel = 3

    def __init__(self, input_size: int, *, hidden_size: PositiveInt = 16, num_layers: PositiveInt = 2) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.convolutions = nn.ModuleList(
            nn.Conv1d(hidden_size if number else input_size, hidden_size, self.kernel, dilation=2**number)
            for number in range(num_layers)
        )

    def forward(
        self, x_BTI: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return y_BTH and for each layer the steps kept of its input (1, B, P, I)."""
        x_BTI, after = zeroed(x_BTI, lengths_B), []
        for number, convolution in enumerate(self.convolutions):
            kept = (self.kernel - 1) * 2**number
            before_BPI = x_BTI.new_zeros(len(x_BTI), kept, x_BTI.shape[2]) if state is None else state[number][0]
            x_BSI = torch.cat((before_BPI, x_BTI), 1)
            y_BTH = convolution(x_BSI.mT).mT.relu()
            x_BTI = zeroed(y_BTH + x_BTI if number else y_BTH, lengths_B)
            after.append(last(kept, x_BSI, lengths_B)[None])
        return x_BTI, tuple(after)


@seqkit.register_model("attention")
class Attention(nn.Module):
    """Causal self-attention over all steps so far, without a state.

    Args:
        input_size: Features of each step of the input.
        hidden_size: Size of query, key, value and output.
    """

    causal = True

    def __init__(self, input_size: int, *, hidden_size: PositiveInt = 16) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.projections = nn.Linear(input_size, 3 * hidden_size)
        self.mix = nn.Sequential(nn.LayerNorm(hidden_size), nn.Linear(hidden_size, hidden_size), nn.GELU())

    def forward(
        self, x_BTI: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return y_BTH and no state."""
        q_BTH, k_BTH, v_BTH = self.projections(zeroed(x_BTI, lengths_B)).chunk(3, 2)
        one_head = (part[:, None] for part in (q_BTH, k_BTH, v_BTH))
        y_B1TH = nn.functional.scaled_dot_product_attention(*one_head, is_causal=True)
        return zeroed(self.mix(y_B1TH[:, 0]), lengths_B), ()


@seqkit.register_model("window_attention")
class WindowAttention(nn.Module):
    """Causal self-attention over a window of the last steps, its keys and values cached as the state.

    Args:
        input_size: Features of each step of the input.
        hidden_size: Size of query, key, value and output.
        window: Steps that a step sees, itself included.
    """

    causal = True
    states = ("key", "value", "filled")

    def __init__(self, input_size: int, *, hidden_size: PositiveInt = 16, window: PositiveInt = 8) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.window = window
        self.projections = nn.Linear(input_size, 3 * hidden_size)
        self.mix = nn.Sequential(nn.LayerNorm(hidden_size), nn.Linear(hidden_size, hidden_size), nn.GELU())

    def initial_state(self, batch_size: int) -> State:
        """Return an empty cache."""
        zeros = next(self.parameters()).new_zeros
        cached = (1, batch_size, self.window - 1)
        return zeros(*cached, self.output_size), zeros(*cached, self.output_size), zeros(*cached, 1)

    def forward(
        self, x_BTI: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Return y_BTH and the cache: keys, values (1, B, P, H), and 1 where it is filled (1, B, P, 1)."""
        rows, steps, _ = x_BTI.shape
        q_BTH, k_BTH, v_BTH = self.projections(zeroed(x_BTI, lengths_B)).chunk(3, 2)
        new = k_BTH, v_BTH, k_BTH.new_ones(rows, steps, 1)
        cache = self.initial_state(rows) if state is None else state
        k_BSH, v_BSH, filled_BS1 = (torch.cat((old[0], part), 1) for old, part in zip(cache, new, strict=True))
        t_T1 = torch.arange(steps, device=x_BTI.device)[:, None]
        s_S = torch.arange(k_BSH.shape[1], device=x_BTI.device)
        seen_BTS = (s_S >= t_T1) & (s_S < t_T1 + self.window) & (filled_BS1.mT > 0)
        one_head = (part[:, None] for part in (q_BTH, k_BSH, v_BSH, seen_BTS))
        y_B1TH = nn.functional.scaled_dot_product_attention(*one_head)
        after = tuple(last(self.window - 1, part, lengths_B)[None] for part in (k_BSH, v_BSH, filled_BS1))
        return zeroed(self.mix(y_B1TH[:, 0]), lengths_B), after

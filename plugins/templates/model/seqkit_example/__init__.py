"""A whole model, from the input sequence to the output sequence."""

# B batch, T time, I input, H output, K steps that each output reads

import torch
from pydantic import PositiveInt
from torch import nn

import seqkit
from seqkit import valid


@seqkit.register_model("example")
class ExampleModel(nn.Module):
    """A causal convolution.

    y_t = relu(W [x_{t-K+1}, ..., x_t] + b)

    Args:
        hidden_size: Output size.
        kernel_size: Steps that each output reads, the last of them its own.
    """

    causal = True

    def __init__(self, input_size: int, *, hidden_size: PositiveInt = 64, kernel_size: PositiveInt = 4) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.kernel_size = kernel_size
        self.linear = nn.Linear(kernel_size * input_size, hidden_size)

    def forward(self, x_BTI, lengths_B=None, state=None):
        """Map x_BTI to y_BTH; the state (K - 1, B, I) is the last inputs, zeros at the start."""
        rows, steps, size = x_BTI.shape
        x_BTI = x_BTI.masked_fill(~valid(lengths_B, x_BTI)[..., None], 0)  # whatever the padding holds
        before_KBI = state[0] if state else x_BTI.new_zeros(self.kernel_size - 1, rows, size)
        seen_BTI = torch.cat((before_KBI.transpose(0, 1), x_BTI), 1)
        windows_BTJ = torch.cat([seen_BTI[:, k : k + steps] for k in range(self.kernel_size)], 2)
        y_BTH = torch.relu(self.linear(windows_BTJ))

        # The state follows the last valid step of each row, not the padding.
        if lengths_B is None:
            lengths_B = torch.full((rows,), steps, device=x_BTI.device)
        last_KB = torch.arange(self.kernel_size - 1, device=x_BTI.device)[:, None] + lengths_B
        return y_BTH, (seen_BTI[torch.arange(rows, device=x_BTI.device), last_KB],)

"""The native backend: torch's own recurrent kernels (cuDNN, oneDNN, ATen) on parameters that are kept elsewhere."""

# T time, B batch, I input, H hidden, D directions (1 or 2), G all gates of the cell together (their number times H)

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqkit.contracts.batch import State

_CUDNN_MODES = {torch.rnn_tanh: 1, torch.lstm: 2, torch.gru: 3}


def run(
    kernel: Callable, x_TBI: Tensor, lengths_B: Tensor | None, weights: tuple[Tensor, ...], state: State
) -> tuple[list[Tensor], State]:
    """Run all directions of one layer.

    With lengths it is exact for any cell and fast on CUDA, but up to seven times slower than without on a CPU.

    Args:
        kernel: ``torch.lstm``, ``torch.gru`` or ``torch.rnn_tanh``.
        x_TBI: Input.
        lengths_B: Valid steps of each row, None where all are.
        weights: For each direction: of the input (G, I), of the hidden state (G, H), the bias of each (G,).
        state: Before the first step, one (D, B, H) per state name.

    Returns:
        The hidden state of each direction at every step (T, B, H), and the state after each row's last valid step.
    """
    if lengths_B is None:
        y_TBO, *after = kernel(x_TBI, _start(state), weights, *_fixed(kernel, weights), False)  # time comes first
        return list(y_TBO.chunk(len(state[0]), dim=2)), tuple(after)
    # A packed sequence cannot be empty, so an empty row takes one step here, which is taken back below.
    rows = pack_padded_sequence(x_TBI, lengths_B.clamp(min=1).cpu(), enforce_sorted=False)
    order_B, back_B = rows.sorted_indices, rows.unsorted_indices
    assert order_B is not None
    assert back_B is not None
    start = tuple(part.index_select(1, order_B) for part in state)
    data, *after = kernel(rows.data, rows.batch_sizes, _start(start), weights, *_fixed(kernel, weights))
    y_TBO, _ = pad_packed_sequence(rows._replace(data=data), total_length=len(x_TBI))
    some_B1 = (lengths_B > 0)[:, None]
    pairs = zip((part.index_select(1, back_B) for part in after), state, strict=True)
    return list((y_TBO * some_B1).chunk(len(state[0]), dim=2)), tuple(torch.where(some_B1, p, old) for p, old in pairs)


def padded(kernel: Callable, x_TBI: Tensor, weights: tuple[Tensor, ...], state: State) -> tuple[Tensor]:
    """Run one direction of a cell whose only state is its output over all steps, padded ones too.

    Args:
        kernel: ``torch.gru`` or ``torch.rnn_tanh``.
        x_TBI: Input, finite in the padding too.
        weights: Of the input (G, I) and of the hidden state (G, H), and the bias of each (G,).
        state: The hidden state (B, H) before the first step.

    Returns:
        The hidden state after every step (T, B, H).
    """
    (y_TBH,), _ = run(kernel, x_TBI, None, weights, (state[0][None],))
    return (y_TBH,)


def _start(state: State) -> State | Tensor:
    """Return the state as the kernel takes it; cuDNN refuses an expanded one, which an initial state is."""
    state = tuple(part.contiguous() for part in state)
    return state if len(state) > 1 else state[0]


def _fixed(kernel: Callable, weights: tuple[Tensor, ...]) -> tuple[bool, int, float, bool, bool]:
    """Return the kernel's has_biases, num_layers, dropout, train and bidirectional, its weights made ready.

    Never dropout: cuDNN's masks cannot be reproduced. "In training" is what cuDNN wants in order to differentiate.
    """
    bidirectional = len(weights) == 8
    if weights[0].is_cuda:
        _make_contiguous(kernel, weights, bidirectional)
    return True, 1, 0.0, torch.is_grad_enabled(), bidirectional


def _make_contiguous(kernel: Callable, weights: tuple[Tensor, ...], bidirectional: bool) -> None:
    """Move the parameters into one block of memory, as cuDNN would otherwise do again on every call."""
    weight_GI, weight_GH = weights[:2]
    together = len({weight.untyped_storage().data_ptr() for weight in weights}) == 1
    made_for_this_call = not all(weight.is_leaf for weight in weights)  # dropped out, or with a projection in them
    if together or made_for_this_call or not torch.backends.cudnn.is_acceptable(weight_GI):
        return
    with torch.no_grad():
        sizes = weight_GI.shape[1], _CUDNN_MODES[kernel], weight_GH.shape[1], 0, 1  # ..., no projection, one layer
        torch._cudnn_rnn_flatten_weight(weights, 4, *sizes, False, bidirectional)

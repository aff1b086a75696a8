"""All steps of LSTM and GRU in one Triton kernel, for CUDA and the hidden sizes whose recurrent weights fit on chip.

One program runs one row (sequence) from its first step to its last, or back. Its threads keep the recurrent weights
and the state in registers; only what belongs to a single step goes to and from memory, that of the next one being
fetched meanwhile. The product of a row is a multiplication and a sum: ``tl.dot`` wants 16 rows, which one
multiprocessor would then compute instead of 16. All tensors are contiguous.
"""

# T time, B batch, H hidden, G = 4H: input, forget, cell and output gate, or 3H: forget, cell and output gate
# (coupled); in a GRU 3H: reset and update gate and candidate. P = 3H: peepholes of the input, forget and output gate.

import torch
import triton
from torch import Tensor

from seqkit.models.backends.fused.triton_persistent_kernels import gru_backward as _gru_backward
from seqkit.models.backends.fused.triton_persistent_kernels import gru_forward as _gru_forward
from seqkit.models.backends.fused.triton_persistent_kernels import lstm_backward as _lstm_backward
from seqkit.models.backends.fused.triton_persistent_kernels import lstm_forward as _lstm_forward


def fits(hidden_size: int, dtype: torch.dtype) -> bool:
    """Whether the recurrent weights of all gates fit in the registers of one program.

    Up to 64 units in float32 and 32 in float64: four gates then take a quarter of a multiprocessor's registers. With
    twice the units they would take all of them.
    """
    return dtype in (torch.float32, torch.float64) and hidden_size * dtype.itemsize <= 256


def lstm_forward(
    a_TBG: Tensor, weight_GH: Tensor, peephole_P: Tensor | None, mask_BH: Tensor | None, hs: Tensor, cs: Tensor
) -> None:
    """Run an LSTM over all steps.

    Args:
        a_TBG: Input projection with both biases; the activated gates after.
        weight_GH: From the hidden state.
        peephole_P: Of the input, forget and output gate; never with coupled gates.
        mask_BH: What the hidden state is multiplied by before its product with the weights, None for ones.
        hs: Hidden states (T + 1, B, H): the initial one in, all others out.
        cs: Cell states likewise.
    """
    T, B, G = a_TBG.shape
    H = hs.shape[2]
    _lstm_forward[(B,)](
        a_TBG,
        weight_GH.t().contiguous(),
        peephole_P,
        mask_BH,
        hs,
        cs,
        T,
        B,
        H,
        G == 3 * H,
        triton.next_power_of_2(H),
        num_warps=_warps(H, hs.dtype),
        enable_fp_fusion=True,
    )


def lstm_backward(
    a_TBG: Tensor,
    weight_GH: Tensor,
    peephole_P: Tensor | None,
    mask_BH: Tensor | None,
    cs: Tensor,
    dh_TBH: Tensor | None,
    dc_TBH: Tensor | None,
    d_TBG: Tensor,
    dh_BH: Tensor,
    dc_BH: Tensor,
) -> None:
    """Go back over all steps of an LSTM.

    Args:
        a_TBG: Activated gates.
        weight_GH: As in the forward pass.
        peephole_P: As in the forward pass.
        mask_BH: As in the forward pass.
        cs: As in the forward pass.
        dh_TBH: Gradient of the hidden states that the pass gave.
        dc_TBH: Gradient of the cell states that the pass gave.
        d_TBG: Where the gradient of the gates before the nonlinearity goes.
        dh_BH: Where the gradient of the initial hidden state goes.
        dc_BH: Where the gradient of the initial cell state goes.
    """
    T, B, G = a_TBG.shape
    H = cs.shape[2]
    _lstm_backward[(B,)](
        a_TBG,
        weight_GH,
        peephole_P,
        mask_BH,
        cs,
        dh_TBH,
        dc_TBH,
        d_TBG,
        dh_BH,
        dc_BH,
        T,
        B,
        H,
        G == 3 * H,
        triton.next_power_of_2(H),
        num_warps=_warps(H, cs.dtype),
        enable_fp_fusion=True,
    )


def gru_forward(
    x_TBG: Tensor, weight_GH: Tensor, bias_G: Tensor, mask_BH: Tensor | None, hs: Tensor, u_n_TBH: Tensor
) -> None:
    """Run a GRU over all steps.

    Args:
        x_TBG: Input projection; the activated gates after.
        weight_GH: From the hidden state.
        bias_G: Recurrent bias.
        mask_BH: What the hidden state is multiplied by before its product with the weights, None for ones.
        hs: Hidden states (T + 1, B, H): the initial one in, all others out.
        u_n_TBH: Receives the recurrent projection of the candidate, for the backward pass.
    """
    T, B, _ = x_TBG.shape
    H = hs.shape[2]
    _gru_forward[(B,)](
        x_TBG,
        weight_GH.t().contiguous(),
        bias_G,
        mask_BH,
        hs,
        u_n_TBH,
        T,
        B,
        H,
        triton.next_power_of_2(H),
        num_warps=_warps(H, hs.dtype),
        enable_fp_fusion=True,
    )


def gru_backward(
    x_TBG: Tensor,
    weight_GH: Tensor,
    mask_BH: Tensor | None,
    hs: Tensor,
    u_n_TBH: Tensor,
    dh_TBH: Tensor,
    dx_TBG: Tensor,
    du_TBG: Tensor,
    dh_BH: Tensor,
) -> None:
    """Go back over all steps of a GRU.

    Args:
        x_TBG: Activated gates.
        weight_GH: As in the forward pass.
        mask_BH: As in the forward pass.
        hs: As in the forward pass.
        u_n_TBH: As in the forward pass.
        dh_TBH: Gradient of the hidden states that the pass gave.
        dx_TBG: Receives the gradient of the input projection.
        du_TBG: Receives the gradient of the recurrent projection.
        dh_BH: Where the gradient of the initial hidden state goes.
    """
    T, B, _ = x_TBG.shape
    H = hs.shape[2]
    _gru_backward[(B,)](
        x_TBG,
        weight_GH,
        mask_BH,
        hs,
        u_n_TBH,
        dh_TBH,
        dx_TBG,
        du_TBG,
        dh_BH,
        T,
        B,
        H,
        triton.next_power_of_2(H),
        num_warps=_warps(H, hs.dtype),
        enable_fp_fusion=True,
    )


def _warps(H: int, dtype: torch.dtype) -> int:
    """Return the fewest warps that hold U in registers: avoids cross-warp reductions.

    More would also be wrong for few units: with no sum across warps there would be nothing to keep a warp from
    overwriting gates that another one, which does the same work over again, has yet to read.
    """
    return 1 if H * dtype.itemsize <= 128 else 4

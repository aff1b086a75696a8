"""A trial of loops that were compiled for this machine, before they are used."""

from collections.abc import Callable

import torch

from seqkit.models.backends.fused.problem import GRUProblem, Loops, LSTMProblem
from seqkit.models.backends.fused.torch_loops import TorchLoops


@torch.no_grad()
def try_loops(loops: Loops, device: torch.device, dtype: torch.dtype, hidden_size: int) -> None:
    """Compare loops with those in torch on a few random steps.

    Raises:
        AssertionError: They differ.
    """
    H, draw = hidden_size, torch.Generator().manual_seed(0)
    for gates in (4, 3):
        a, U, bias, p, h, c, d = (
            (torch.randn(shape, generator=draw) / 4).to(device, dtype)
            for shape in ((3, 2, gates * H), (gates * H, H), (gates * H,), (3, H), (4, 2, H), (4, 2, H), (3, 2, H))
        )
        peephole = p if gates == 4 else None
        found = []
        for each in (TorchLoops(), loops):
            lstm = LSTMProblem(a.clone(), U, None, peephole, None, None, None, h.clone(), c.clone())
            each.lstm_forward(lstm)
            found.append([lstm.a_TBG, lstm.hs, lstm.cs, *each.lstm_backward(lstm, None, d, d)])
            if gates == 3:
                gru = GRUProblem(a.clone(), U, bias, None, None, None, h.clone())
                u_n, _ = each.gru_forward(gru)
                found[-1] += [gru.a_TBG, gru.hs, u_n, *each.gru_backward(gru, u_n, None, d)]
        torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)


def triton_failure(trial: Callable[[], object]) -> str:
    """Return why a trial of Triton's kernels fails, empty where it does not."""
    try:
        trial()
    except ImportError as error:
        return f"triton cannot be imported: {error}"
    except AssertionError as error:
        return f"triton's results differ: {' '.join(str(error).split())}"
    except Exception as error:  # whatever a compiler may say
        return f"triton failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return ""

"""A trial of loops that were compiled for this machine, before they are used."""

from typing import Any

import torch

from seqkit.models.backends.fused import torch_loops


@torch.no_grad()
def try_loops(loops: Any, device: torch.device, dtype: torch.dtype, hidden_size: int) -> None:
    """Compare the loops of a module with those of ``torch_loops`` on a few random steps.

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
        for module in (torch_loops, loops):
            a_, hs, cs = a.clone(), h.clone(), c.clone()
            module.lstm_forward(a_, U, None, peephole, None, None, None, hs, cs)
            back = module.lstm_backward(a_, U, None, peephole, None, None, None, hs, cs, None, d, d)
            found.append([a_, hs, cs, *back])
            if gates == 3:
                a_, hs = a.clone(), h.clone()
                u_n, _ = module.gru_forward(a_, U, bias, None, None, None, hs)
                back = module.gru_backward(a_, U, None, None, None, hs, u_n, None, d)
                found[-1] += [a_, hs, u_n, *back]
        torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)

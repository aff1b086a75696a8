"""Numerical precision: the parts of a network that run in half precision, and those that never do."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context that a training step runs in under ``trainer.precision``."""
    half = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}.get(precision)
    return torch.autocast(device.type, dtype=half, enabled=half is not None)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context without autocast; where there is none it costs nothing."""
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


@contextmanager
def float32_eval(device: torch.device) -> Iterator[None]:
    """Compute in plain float32 on any device, whatever precision training uses."""
    precision, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn
    flags = {"benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic, "allow_tf32": False}
    torch.set_float32_matmul_precision("highest")
    try:
        with full_precision(device), cudnn.flags(enabled=True, **flags) if device.type == "cuda" else nullcontext():
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def widened(tensor: Tensor) -> Tensor:
    """Return a tensor of half precision in float32, any other as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))

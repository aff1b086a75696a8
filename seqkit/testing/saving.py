"""What a checkpoint holds, as it is read back: tensors and plain data, without running code."""

import io
from typing import Any

import torch


def read_back(value: Any) -> Any:
    """Return a value as a checkpoint gives it back; raises what torch raises where it holds something else."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return torch.load(buffer, map_location="cpu", weights_only=True)

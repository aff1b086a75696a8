"""State of the whole process, which a plugin leaves to seqkit and its user."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from seqkit.errors import PluginError


def _set_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)  # None: without a mode, which slows all calls


STATE: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "the current folder": (os.getcwd, os.chdir),
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's default device": (torch.get_default_device, _set_device),
    "torch's gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
}
"""How each is read and set."""


@contextmanager
def left_alone(by: str) -> Iterator[None]:
    """Put back what code of a plugin changes for everything else in the process, and refuse it.

    Args:
        by: Code that runs inside, for the message.

    Raises:
        PluginError: Names what was changed.
    """
    before = {name: read() for name, (read, _) in STATE.items()}
    changed = []
    try:
        yield
    finally:
        for name, (read, write) in STATE.items():
            if (now := read()) != before[name]:
                changed.append(f"{name} from {before[name]} to {now}")
                write(before[name])
    if changed:
        raise PluginError(f"{by} changes {', '.join(changed)}, for all else in this process too; leave it as it was")

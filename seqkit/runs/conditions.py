"""Conditions of bit-exact training beside config and data: software, processor, threads, backends."""

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

import seqkit
from seqkit.models.backends.timings import processor
from seqkit.network import Network
from seqkit.runs.checkpoint import Checkpoint

LOG = logging.getLogger("seqkit")


def conditions(network: Network, device: torch.device) -> dict[str, str]:
    """Return the conditions of a bit-exact continuation by name."""
    return {
        "seqkit": seqkit.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processor": processor(),
        "instruction set": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "GPUs": str(torch.cuda.device_count()),
        "matmul precision": torch.get_float32_matmul_precision(),
        "deterministic": str(torch.are_deterministic_algorithms_enabled() or torch.backends.cudnn.deterministic),
        **_backends(network.model),
    }


def difference_reason(saved: dict[str, str], now: dict[str, str]) -> str:
    """Return what differs, as "threads 1, now 2; ...", or an empty string."""
    keys = [*saved, *(key for key in now if key not in saved)]
    pairs = [(key, saved.get(key, "none"), now.get(key, "none")) for key in keys]
    return "; ".join(f"{key} {then}, now {here}" for key, then, here in pairs if then != here)


@contextmanager
def threads_of(last: Checkpoint | None) -> Iterator[None]:
    """Compute with as many threads as the checkpoint ``last`` was saved with, if there are as many processors.

    OMP_NUM_THREADS goes before it.
    """
    here = torch.get_num_threads()
    saved = int(last.metadata["conditions"].get("threads", here)) if last else here
    if saved == here or saved > _processors() or os.environ.get("OMP_NUM_THREADS"):
        yield
        return
    LOG.info("going on with %d threads, as before; OMP_NUM_THREADS=%d takes more or fewer", saved, here)
    torch.set_num_threads(saved)
    try:
        yield
    finally:
        torch.set_num_threads(here)


def _processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _backends(model: Any) -> dict[str, str]:
    """Return what decides the bits of each layer: in training, for even and for padded batches, and in evaluation."""
    found: dict[str, str] = {}
    if not hasattr(model, "backends"):
        return found
    for training in (True, False):
        for padded in (False, True):
            for choice in model.backends(padded=padded, training=training):
                calls = f"layer {choice.layer}{'' if training else ', evaluation'}{', padded' * padded}"
                found[calls] = choice.conditions
    return found

"""Conditions of bit-exact training beside config and data: software, processor, threads, backends."""

import platform
from typing import Any

import torch

import seqkit
from seqkit.models.backends.fused import library
from seqkit.network import Network


def conditions(network: Network, device: torch.device) -> dict[str, str]:
    """Return the conditions of a bit-exact continuation by name."""
    return {
        "seqkit": seqkit.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processor": processor(),
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


def _backends(model: Any) -> dict[str, str]:
    """Return the backend that trains each layer, for even and for padded batches."""
    found: dict[str, str] = {}
    if not hasattr(model, "backends"):
        return found
    for padded in (False, True):
        for choice in model.backends(padded=padded, training=True):
            found[f"layer {choice.layer}{', padded' * padded}"] = f"{choice.name}: {choice.reason}"
    if any("compiled from C" in reason for reason in found.values()):  # other compilers round otherwise
        found["compiled loops"] = library.fingerprint(next(model.parameters()).dtype)
    return found


def processor() -> str:
    """Return the name of the machine's processor."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()

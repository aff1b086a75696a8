"""An estimate of the memory that a training needs, before its first step."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from seqkit.contracts.components import Data
from seqkit.errors import ConfigError, one_line
from seqkit.network import assemble
from seqkit.ranks import group

PARAMETER = 16  # bytes: the value, its gradient and AdamW's two moments in float32
ACTIVATION = 12  # bytes: the value, its gradient, and as much for buffers
WORKER = 50_000_000  # bytes of a process that loads data, at the least
TENSORS = 100_000  # weights of a model, at the most
INDEX = 8  # bytes of a sample's number in the order of a pass


def refuse_if_too_large(config: Mapping[str, Any], data: Data, device: torch.device) -> None:
    """Refuse a training that cannot fit into memory, of which every rank on this machine has its share.

    Args:
        config: Of the run, checked.
        data: Set up.
        device: To train on.

    Raises:
        ConfigError: It needs more than there is; the message gives both figures.
    """
    place = group().place
    workers = config["trainer"]["num_workers"] * WORKER
    part: Any = data.part("train")
    samples = len(part) if hasattr(part, "__len__") else 0
    there = available_bytes() // place.local_size
    for need, cause in (
        (workers, f"trainer.num_workers={config['trainer']['num_workers']}"),
        (samples * INDEX, f"a training part of {samples:,} samples"),
    ):
        if need > there:
            raise ConfigError(f"{cause} needs {_words(need)} of memory or more; {_words(there)} are there")
    network = on_meta(config, data)
    if network is None:
        return
    there = available_bytes(device) // (1 if device.type == "cuda" else place.local_size)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    states = PARAMETER * parameters // (place.size if config["trainer"]["strategy"] == "fsdp" else 1)
    in_each = f" in each of {place.size} ranks" if place.size > 1 else ""
    if states > there:
        raise ConfigError(
            f"a model of {parameters:,} parameters needs {_words(states)} of memory in training{in_each}; "
            f"{_words(there)} are there. Make model.hidden_size or model.num_layers smaller"
        )
    rows = -(-min(data.batch_size, samples) // place.size)
    try:
        need = states + ACTIVATION * rows * activations_per_sample(network, data)
    except Exception as error:  # of a plugin, whose fault shows in training: an estimate stops nothing
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise ConfigError(f"one sample of the data does not fit into memory; {_words(there)} are there") from None
        return
    if need > there:
        raise ConfigError(
            f"data.batch_size={data.batch_size}: batches of {rows:,} samples need about {_words(need)} of memory in "
            f"training{in_each}; {_words(there)} are there. Make data.batch_size smaller"
        )


def on_meta(config: Mapping[str, Any], data: Data) -> nn.Module | None:
    """Return the network without memory for its weights; None if a component cannot be built so.

    Raises:
        ConfigError: A size is beyond what any tensor can have.
    """
    count = 0

    def watch(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal count
        count += 1
        if count > TENSORS:
            raise ConfigError(f"a model of more than {TENSORS:,} weight tensors; make model.num_layers smaller")

    handle: Any = register_module_parameter_registration_hook(watch)
    try:
        with torch.device("meta"):
            return assemble(config, data.spec)
    except ConfigError:
        raise
    except Exception as error:
        text = one_line(error)
        if "overflow" in text.lower() or isinstance(error, OverflowError):
            raise ConfigError("a model of this size has more parameters than can be counted; make it smaller") from None
        return None
    finally:
        handle.remove()


def activations_per_sample(network: Any, data: Data) -> int:
    """Return about how many numbers a model's layers make of one sample: the rows of its matrices, at every step."""
    batch = data.collate([data.part("train")[0]])
    steps = batch.inputs.shape[1] if batch.inputs.dim() > 1 else 1
    if hasattr(network.frontend, "steps"):
        steps = int(network.frontend.steps(torch.tensor([steps]))[0])
    widths = sum(weight.shape[0] for weight in network.model.parameters() if weight.dim() == 2)
    rows = getattr(network.frontend, "rows_per_sequence", 1)
    return batch.inputs[0].numel() + steps * rows * widths // 2


def available_bytes(device: torch.device | None = None) -> int:
    """Return the memory that can still be had: of a GPU, or of this machine within the limit of its control group."""
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found = min(found, int(line.split()[1]) * 1024)
    for limit in _control_group_limits():
        with suppress(OSError, ValueError):  # "max" is no limit
            found = min(found, int(limit.read_text()))
    return found


def _control_group_limits() -> list[Path]:
    """Return the files that may limit the memory of this process: of its control group and of those above it."""
    groups = ["/"]
    with suppress(OSError):
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        groups += [name for _, controllers, name in lines if controllers in ("", "memory")]
    found: dict[Path, None] = {}  # a set in order
    for name in groups:
        for place in (Path(name), *Path(name).parents):
            inner = str(place).lstrip("/")
            found[Path("/sys/fs/cgroup", inner, "memory.max")] = None
            found[Path("/sys/fs/cgroup/memory", inner, "memory.limit_in_bytes")] = None
    return list(found)


def _words(size: int) -> str:
    for unit, bytes_of in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if size >= bytes_of:
            return f"{size / bytes_of:,.3g} {unit}" if size < 1000 * bytes_of else f"{size / bytes_of:,.0f} {unit}"
    return f"{size:,} bytes"

"""Where a process stands among those that train one network together, as the program that started it says."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from seqkit.errors import ConfigError

Starter = Literal["nobody", "seqkit", "torchrun", "srun"]
PORTS = 20_000  # first of the ports for jobs of SLURM that name none
STARTED_BY = "SEQKIT_STARTED_BY"  # pid, in the environment of the ranks that seqkit starts


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Place:
    """Rank of a process and where it runs.

    Args:
        rank: From 0, over all nodes.
        size: Number of ranks.
        local_rank: From 0, on this node.
        local_size: Ranks on this node.
        node: From 0.
        nodes: Number of nodes.
        starter: What started the ranks.
        address: Host and port of the store through which the ranks find each other.
        hosts_store: Whether this process keeps that store; seqkit and torchrun keep it outside of the ranks.
        start: Names this start of the ranks in the store, which torchrun keeps over restarts.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    node: int = 0
    nodes: int = 1
    starter: Starter = "nobody"
    address: tuple[str, int] = ("127.0.0.1", 0)
    hosts_store: bool = False
    start: str = "0"


def place_here(environment: Mapping[str, str] = os.environ) -> Place:
    """Return the place of this process: one of those that seqkit, torchrun or srun started, else alone.

    Raises:
        ConfigError: The environment says it only in part.
    """
    found = environment.get
    try:
        if found("TORCHELASTIC_RUN_ID") or found(STARTED_BY):
            return Place(
                int(environment["RANK"]),
                int(environment["WORLD_SIZE"]),
                int(environment["LOCAL_RANK"]),
                int(environment["LOCAL_WORLD_SIZE"]),
                int(environment["GROUP_RANK"]),
                int(environment["GROUP_WORLD_SIZE"]),
                "seqkit" if found(STARTED_BY) else "torchrun",
                (environment["MASTER_ADDR"], int(environment["MASTER_PORT"])),
                environment["RANK"] == "0"
                and not found(STARTED_BY)
                and found("TORCHELASTIC_USE_AGENT_STORE") != "True",
                found("TORCHELASTIC_RESTART_COUNT", "0"),
            )
        # Of a step, as only srun sets them: a batch script has SLURM_NTASKS and SLURM_PROCID too.
        if int(found("SLURM_STEP_NUM_TASKS", "1")) > 1:
            node = int(environment["SLURM_NODEID"])
            return Place(
                int(environment["SLURM_PROCID"]),
                int(environment["SLURM_STEP_NUM_TASKS"]),
                int(environment["SLURM_LOCALID"]),
                tasks_per_node(environment["SLURM_STEP_TASKS_PER_NODE"])[node],
                node,
                int(environment["SLURM_STEP_NUM_NODES"]),
                "srun",
                _address_in_slurm(environment),
                environment["SLURM_PROCID"] == "0",
            )
    except (KeyError, ValueError, IndexError) as error:
        raise ConfigError(f"the environment says only in part which rank this process is: {error} is missing") from None
    return Place()


def tasks_per_node(text: str) -> list[int]:
    """Return the tasks of each node from SLURM's words: ``2(x3),1`` is [2, 2, 2, 1]."""
    counts = []
    for part in text.split(","):
        tasks, nodes = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part).groups("1")  # type: ignore[union-attr]
        counts += [int(tasks)] * int(nodes)
    return counts


def _address_in_slurm(environment: Mapping[str, str]) -> tuple[str, int]:
    """Return the first node of a step, and a port that two jobs or two steps on it do not share."""
    step = int(environment["SLURM_JOB_ID"]) * 16 + int(environment["SLURM_STEP_ID"]) % 16
    port = int(environment.get("MASTER_PORT", PORTS + step % PORTS))
    return environment.get("MASTER_ADDR") or first_host(environment["SLURM_STEP_NODELIST"]), port


def first_host(nodes: str) -> str:
    """Return the first name in SLURM's list of nodes: of ``gpu[07-09,12],login``, ``gpu07``."""
    prefix, bracket, rest = nodes.partition("[")
    if not bracket or "," in prefix:
        return prefix.partition(",")[0]
    inside, _, suffix = rest.partition("]")
    return prefix + re.split("[-,]", inside)[0] + suffix.partition(",")[0]


def wanted_ranks(options: Mapping[str, Any], place: Place) -> int:
    """Return the number of ranks that a config asks for.

    Args:
        options: Of the trainer: devices, num_nodes, accelerator.
        place: Of this process.

    Raises:
        ConfigError: They are not as many as were started, or run on nodes that only srun or torchrun can reach.
    """
    devices, nodes = options["devices"], options["num_nodes"]
    if place.starter == "nobody":
        if nodes > 1:
            raise ConfigError(
                f"trainer.num_nodes={nodes}: start seqkit on every node by `srun seqkit train ...` or torchrun"
            )
        if devices == "auto":
            return max(1, torch.cuda.device_count() if options["accelerator"] != "cpu" else 1)
        return devices
    started = f"{place.starter} started {place.size} ranks on {place.nodes} node{'s' * (place.nodes > 1)}"
    if devices not in ("auto", place.local_size):
        raise ConfigError(f"{started}, but trainer.devices={devices}; say trainer.devices={place.local_size}, or auto")
    if nodes not in (1, place.nodes):
        raise ConfigError(f"{started}, but trainer.num_nodes={nodes}; say trainer.num_nodes={place.nodes}")
    if place.size != place.local_size * place.nodes:
        raise ConfigError(f"{started}, not as many on each; start as many on each")
    return place.size


def in_words(options: Mapping[str, Any], place: Place) -> str:
    """Return how many ranks train together and why as many, as ", 2 ranks by ddp (...)"; "" for a process by itself."""
    if place.starter == "nobody":
        return ""
    if place.starter != "seqkit":
        reason = f"as {place.starter} started them on {place.nodes} node{'s' * (place.nodes > 1)}"
    elif options["devices"] != "auto":
        reason = f"trainer.devices={options['devices']}"
    elif options["accelerator"] == "cpu" or not torch.cuda.is_available():
        reason = "trainer.devices=auto: one, where no GPU is used"
    else:
        reason = "trainer.devices=auto: one per GPU"
    strategy = "fsdp" if options["strategy"] == "fsdp" else "ddp"
    return f", {place.size} rank{'s' * (place.size > 1)} by {strategy} ({reason})"

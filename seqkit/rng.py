"""Random generators: keyed ones, pure functions of their key, and the state of those that a process shares."""

import logging
import random
from hashlib import sha256
from typing import Any

import numpy as np
import torch

LOG = logging.getLogger("seqkit")


def generator(*key: Any) -> torch.Generator:
    """Return a random generator that is a pure function of ``key`` (integers and strings)."""
    digest = sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def seed_rank(*key: Any) -> None:
    """Seed this process's generators from ``key``, so that each rank draws numbers of its own."""
    seed = generator("rank", *key).initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def get_rng() -> dict[str, Any]:
    """Return the states of python's, numpy's, torch's and every CUDA device's generator."""
    version, internal, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, list(internal), gauss],
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_rng(state: dict[str, Any]) -> None:
    """Put back what ``get_rng`` returned."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    if len(state["cuda"]) != (torch.cuda.device_count() if torch.cuda.is_available() else 0):
        here, then = torch.cuda.device_count(), len(state["cuda"])
        LOG.warning("saved with %d GPUs, here are %d: what is drawn at random will differ from now on", then, here)
    elif state["cuda"]:
        torch.cuda.set_rng_state_all([device.cpu() for device in state["cuda"]])

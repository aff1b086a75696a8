"""Loaders of a data set's batches."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from seqkit.contracts.batch import Split
from seqkit.contracts.components import Data
from seqkit.contracts.spec import DataSpec
from seqkit.errors import PluginError
from seqkit.registry import spec_to_json


def set_up(data: Data) -> None:
    """Prepare the data, where they have something to prepare, and read or make them."""
    if hasattr(data, "prepare"):
        data.prepare()
    data.setup()


def refuse_if_undescribed(data: Data) -> None:
    """Refuse data that lack, once they are set up, what a run stands on; raises ``PluginError``."""
    for name, kind in (("spec", DataSpec), ("fingerprint", str), ("facts", dict), ("batch_size", int)):
        value = getattr(data, name, None)
        if not isinstance(value, kind) or value == "":
            raise PluginError(f"{type(data).__name__}.{name} is {value!r:.60} after setup(); make it a {kind.__name__}")
    try:
        spec_to_json(data.spec)
    except PluginError as error:
        raise PluginError(f"{type(data).__name__}.spec: {error}") from None


def load_batches(data: Data, split: Split, order: Iterable[Sequence[int]], workers: int, pin: bool) -> DataLoader:
    """Return a loader of the batches in ``order``, each a list of sample indices."""
    # Without its own generator a DataLoader draws its base seed from torch's global one, which dropout uses.
    own = torch.Generator().manual_seed(0)
    dataset: Any = data.part(split)
    batches: Any = order
    return DataLoader(
        dataset, batch_sampler=batches, collate_fn=data.collate, num_workers=workers, pin_memory=pin, generator=own
    )


def evaluation_loader(data: Data, split: Split, batch_size: int, workers: int = 0, pin: bool = False) -> DataLoader:
    """Return a loader of every sample of ``split`` exactly once, in the data's own order."""
    return load_batches(data, split, data.order(split, batch_size, seed=0, epoch=0), workers, pin)

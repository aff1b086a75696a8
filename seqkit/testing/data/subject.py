"""The data set that is checked, and how its samples are compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from typing import Any

from torch import Tensor

from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.components import Data
from seqkit.network import Network
from seqkit.testing import tiny
from seqkit.testing.check import DoesNotApply

LOOKED_AT, MOST = 300, 5000
"""Samples of a part that a check reads, and of the training part where all are wanted."""

QUICK_ROWS, QUICK_SIZE = 4, 50_000
"""Samples of a batch that the dry run reads, and those of the largest part whose whole order it walks."""


@dataclass(frozen=True)
class DataSubject:
    """A data set to be checked.

    Attributes:
        get: Returns it, set up.
        make: Returns another of the same options, not yet set up; None where there can be none.
        config: Name and options, where it was built from these.
        get_network: Returns a network for the data, in evaluation mode.
        quick: Whether to look at a few samples only, however large the data are: in a dry run.
    """

    get: Callable[[], Data]
    make: Callable[[], Data] | None = None
    config: Mapping[str, Any] | None = None
    get_network: Callable[[Data], Network] = tiny.network
    quick: bool = False

    @cached_property
    def data(self) -> Data:
        try:
            return self.get()
        except Exception:
            raise DoesNotApply("it cannot be set up") from None

    def another(self) -> Data:
        """Return a data set of the same options, not yet set up."""
        if self.make is None:
            raise DoesNotApply("the data set was not built by name, so no second one can be")
        return self.make()

    def first_batch(self, split: Split) -> Batch:
        return self.data.collate(self.first_samples(split))

    def first_samples(self, split: Split) -> list[Any]:
        if split not in self._first:
            part: Any = self.data.part(split)
            self._first[split] = [part[index] for index in self.first_indices(split)]
        return self._first[split]

    def first_indices(self, split: Split) -> list[int]:
        batch = self.data.order(split, self.data.batch_size, 0, 0)[0]
        return [*batch][: QUICK_ROWS if self.quick else None]

    def walked(self, *splits: Split) -> list[Split]:
        """Return the parts whose whole order is to be looked at."""
        found = [split for split in splits if not self.quick or len(self.data.part(split)) <= QUICK_SIZE]  # type: ignore[arg-type]
        if not found:
            raise DoesNotApply("its parts are too large")
        return found

    @cached_property
    def _first(self) -> dict[Split, list[Any]]:
        return {}


def content(batch: Batch) -> bytes:
    """Return the shapes and bytes of all tensors of a batch."""
    tensors = [getattr(batch, f.name) for f in fields(batch)] + [*batch.extras.values()]
    kept = [tensor for tensor in tensors if isinstance(tensor, Tensor)]
    return b"".join(repr(x.shape).encode() + x.contiguous().numpy().tobytes() for x in kept)


def digests(data: Data, split: Split, indices: list[int] | None = None) -> list[bytes]:
    """Return a digest of each of some samples of a part, the first and the last ones unless they are given."""
    part: Any = data.part(split)
    if indices is None:
        size, half = len(part), LOOKED_AT // 2
        indices = [*range(min(size, half)), *range(max(half, size - half), size)]
    return [sha256(content(data.collate([part[index]]))).digest() for index in indices]

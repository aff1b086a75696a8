"""Batches, recurrent state, and the splits of a data set."""

# B batch, T time (steps), I input size

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

State = tuple[Tensor, ...]
"""Recurrent state of a model: one tensor per state name, each with the batch as its second axis."""

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
EVALUATED: tuple[Split, ...] = ("valid", "test")


@dataclass
class Batch:
    """A padded group of sequences, batch first.

    Attributes:
        inputs: Token ids (B, T), frames (B, T, I) or waveforms (B, samples); a plugin's input kind has its own.
        lengths: Valid steps of each row of ``inputs`` (B,); None where every step is valid.
        targets: Targets of the task; None when only predicting.
        target_lengths: Valid length of each row of ``targets`` (B,), where it varies on its own.
        fresh_B: Reset mask of streams: True where a row starts anew, False where it continues the same row of the
            batch before (rows beyond the end of this batch have ended). None where no state is carried at all.
        extras: Further tensors by name, batch first.
        counts: False where a rank has no row of its own, and takes part with one that must not change anything.
    """

    inputs: Tensor
    lengths: Tensor | None = None
    targets: Tensor | None = None
    target_lengths: Tensor | None = None
    fresh_B: Tensor | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    counts: bool = True

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """Return the batch with every tensor on ``device``."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        tensors: dict[str, Any] = {
            name: function(value) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **tensors, extras={name: function(value) for name, value in self.extras.items()})

"""A network on data, as the checks of heads and tasks look at it."""

# B batch, T time, H output size of the model

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.components import Data
from seqkit.contracts.spec import DataSpec
from seqkit.network import Network
from seqkit.padding import valid
from seqkit.testing.check import DoesNotApply, check

ROWS = 7
"""Samples that are looked at."""


@check("head", "task", cheap=True, basic=True)
def can_be_built(subject: "PredictionSubject") -> None:
    """Its data are set up and a network is built for them without a refusal."""
    subject.get_network(subject.get_data())


@dataclass(frozen=True)
class Given:
    """Input of a head.

    Attributes:
        y: Output (B, T, H) of the model.
        lengths: Valid steps (B,) of each row of it, None where all are.
        batch: That the model was given.
    """

    y: Tensor
    lengths: Tensor | None
    batch: Batch


@dataclass(frozen=True)
class PredictionSubject:
    """A network on data: subject of the checks of its head and of the task that it serves.

    Attributes:
        get_data: Returns the data, set up.
        get_network: Returns the network for these; a check may compute with it, and changes nothing of it.
        where: Name of what is checked in messages, ``head=classify``.
        config: Name and options of the head, where it was built from these.
        split: Part that the samples are taken from.
    """

    get_data: Callable[[], Data]
    get_network: Callable[[Data], Network]
    where: str
    config: Mapping[str, Any] | None = None
    split: Split = "valid"

    @cached_property
    def data(self) -> Data:
        """The data; a check does not apply where they cannot be had."""
        try:
            return self.get_data()
        except Exception:
            raise DoesNotApply("there are no data for it") from None

    @cached_property
    def network(self) -> Network:
        """The network, in evaluation mode; a check does not apply where it cannot be built."""
        data = self.data
        try:
            return self.get_network(data).eval()
        except Exception:
            raise DoesNotApply("it cannot be built") from None

    @property
    def spec(self) -> DataSpec:
        """Spec of the data."""
        return self.data.spec

    @cached_property
    def samples(self) -> list[Any]:
        """A few samples, from the first to the last one, which is often shorter than the others."""
        part: Any = self.data.part(self.split)
        last = len(part) - 1
        return [part[index] for index in sorted({last * row // (ROWS - 1) for row in range(ROWS)})]

    @cached_property
    def whole(self) -> Given:
        """All samples in one batch, with noise in the padded steps of the model's output."""
        given = self.given(range(len(self.samples)))
        noise = 10 * torch.randn(given.y.shape, generator=torch.Generator().manual_seed(0)).to(given.y)
        return replace(given, y=torch.where(valid(given.lengths, given.y)[..., None], given.y, noise))

    @cached_property
    def alone(self) -> list[Given]:
        """Each sample as a batch of its own, with the same output of the model at its valid steps."""
        rows_per_sequence = len(self.whole.y) // len(self.samples)
        found = []
        for row in range(len(self.samples)):
            given = self.given([row])
            y = self.whole.y[row * rows_per_sequence : (row + 1) * rows_per_sequence, : given.y.shape[1]]
            found.append(replace(given, y=y))
        return found

    @torch.no_grad()
    def given(self, rows: Sequence[int]) -> Given:
        """Return some of the samples as one batch, with what the head is given for them."""
        network = self.network
        batch = self.data.collate([self.samples[row] for row in rows]).to(next(network.parameters()).device)
        x_BTI, lengths_B = network.frontend(batch.inputs, batch.lengths)
        return Given(network.model(x_BTI, lengths_B, None)[0], lengths_B, batch)

    @torch.no_grad()
    def prediction(self, given: Given) -> Any:
        """Return the head's prediction, of the type that its task defines."""
        head = self.network.head
        return head.predict(head(given.y, given.lengths, given.batch), given.lengths, given.batch)

    def answers(self, given: Given) -> list[dict[str, Any]]:
        """Return what a person is told of each row."""
        return self.spec.task.answers(self.prediction(given), self.spec)

"""What flows between the parts: Batch, DataSpec and its kinds, and the protocols of the components.

Pure torch; everything else in seqkit, and every plugin, meets here.
"""

# B batch, T time (steps), I input size, H output size of the model

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

State = tuple[Tensor, ...]
"""Recurrent state of a model: one tensor a state name, each with the batch as its second axis."""

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass
class Batch:
    """A padded group of sequences, batch first.

    Attributes:
        inputs: Token ids (B, T), frames (B, T, I) or waveforms (B, samples).
        lengths: Valid steps of each row of ``inputs`` (B,); None where every step is valid.
        targets: What to predict; its shape is the head's business. None when only predicting.
        target_lengths: Valid length of each row of ``targets`` (B,), where it varies on its own.
        fresh_B: For streams: True where a row starts anew, False where it continues the same row of the batch
            before (rows beyond the end of this batch have ended). None where no state is carried at all.
    """

    inputs: Tensor
    lengths: Tensor | None = None
    targets: Tensor | None = None
    target_lengths: Tensor | None = None
    fresh_B: Tensor | None = None

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """Return the batch with every tensor on ``device``."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory."""
        return self._map(Tensor.pin_memory)

    def _map(self, function) -> "Batch":
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: function(value) for name, value in tensors.items() if value is not None})


# --- what the inputs are


@dataclass(frozen=True)
class Tokens:
    """Symbols from a vocabulary; a token's id is its place in it."""

    vocabulary: tuple[str, ...]
    unit: str = "char"  # "char" or "word"


@dataclass(frozen=True)
class Frames:
    """Vectors of numbers at even steps.

    ``mean`` and ``scale`` are those of the training part, one number a name, in the units of the data.
    ``rate`` is in steps a second, None where the steps have no duration.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    rate: float | None = None


@dataclass(frozen=True)
class Waveform:
    """Mono sound, one float a sample in -1 to 1."""

    sample_rate: int  # samples a second


# --- what the targets are


@dataclass(frozen=True)
class NextToken:
    """The token after each token; the vocabulary is that of the inputs."""


@dataclass(frozen=True)
class Classes:
    """One class a sequence; a class's id is its place in ``names``. ``counts``: sequences of each in training."""

    names: tuple[str, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Series:
    """The next ``horizon`` rows of the named quantities.

    ``mean`` and ``scale`` are those of the training part, one number a name, in the units of the data.
    ``lookback`` is the rows seen before the first predicted one; ``season`` the rows of one period of the seasonal
    naive forecast, None where there is none.
    """

    horizon: int
    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    lookback: int | None = None
    season: int | None = None


@dataclass(frozen=True)
class Transcript:
    """A string of symbols, not aligned with the inputs; a symbol's id is its place in ``symbols``."""

    symbols: tuple[str, ...]


Inputs = Tokens | Frames | Waveform
Targets = NextToken | Classes | Series | Transcript
_KINDS = {kind.__name__: kind for kind in (Tokens, Frames, Waveform, NextToken, Classes, Series, Transcript)}


@dataclass(frozen=True)
class DataSpec:
    """What a data set is: enough to build the ends of a model and to predict without the training data."""

    inputs: Inputs
    targets: Targets

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers."""
        return {side: _to_json(getattr(self, side)) for side in ("inputs", "targets")}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild the spec that ``to_json`` wrote."""
        return cls(**{side: _from_json(data[side]) for side in ("inputs", "targets")})


def _to_json(kind: Inputs | Targets) -> dict[str, Any]:
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(kind).items()}
    return {"kind": type(kind).__name__, **values}


def _from_json(data: dict[str, Any]) -> Any:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return _KINDS[values.pop("kind")](**values)


# --- the components


class Data(Protocol):
    """Builds the splits and says what they are. Constructing checks the arguments and that files exist; no more.

    ``setup`` reads or makes the data; everything below it in this list is there afterwards.
    """

    batch_size: int

    def setup(self) -> None: ...

    spec: DataSpec
    fingerprint: str
    """sha256 of the data's content, for the report and to refuse a resume on other data."""
    facts: dict[str, Any]
    """Sizes and origin for the report, as plain JSON: e.g. ``{"train": "4,216,000 characters"}``."""

    def part(self, split: Split) -> Dataset: ...

    def collate(self, samples: list[Any]) -> Batch: ...

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Sequence[Sequence[int]]:
        """Return the batches of one pass as lists of sample indices.

        A pure function of its arguments. Only ``train`` may be shuffled; the evaluation parts hold every sample
        exactly once, and their scores must not depend on ``batch_size``.
        """
        ...


class Frontend(Protocol):
    """Turns inputs into what a model reads. Built as ``frontend(spec, *, options)``.

    To be streamed it has ``looks_ahead``, None or the reason why it cannot be, and, where a chunk needs what came
    before it, ``stream``; see ``seqkit.inference.stream``.
    """

    output_size: int

    def __call__(self, inputs: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Map inputs to x_BTI and the valid steps of each row of it (None: all)."""
        ...


class Model(Protocol):
    """Maps a sequence to a sequence. Built as ``model(input_size, *, options)``; knows nothing of data or heads.

    Where it does not start from zero it has ``initial_state(batch_size)``, from which rows of a stream start anew.
    """

    output_size: int
    causal: bool
    """Whether the output at a step depends on that step and earlier ones only."""

    def __call__(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        """Map x_BTI to y_BTH and the state after each row's last valid step.

        Padded steps never change a valid output nor the state; ``state=None`` starts from the initial state.
        """
        ...


class Scores(Protocol):
    """Accumulates sums over an evaluation part; a torchmetrics ``Metric`` so that devices can be joined."""

    def update(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> None: ...

    def compute(self) -> dict[str, Tensor]: ...


class Head(Protocol):
    """Turns the model's output into predictions. Built as ``head(output_size, spec, causal, *, options)``.

    Refuses (ConfigError) a spec or a non-causal model that it cannot serve, naming a head or model that can.
    """

    monitor: tuple[str, Literal["min", "max"]]
    """The score that decides which checkpoint is best, and its direction."""

    def __call__(self, y: Tensor, lengths: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH, with the valid steps of each row as the frontend gave them, to the outputs."""
        ...

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int | Tensor]:
        """Return the summed loss of the batch and the number of items it sums over."""
        ...

    def scores(self) -> Scores: ...

    def decode(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> list[Any]:
        """Return, for each row, what a person reads, as plain JSON."""
        ...

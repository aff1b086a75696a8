"""Protocols of data, frontend, model and head."""

# B batch, T time (steps), I input size, H output size of the model

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import Batch, Split, State
from seqkit.contracts.spec import DataSpec, Prediction


class Data(Protocol):
    """A data set: its splits, its spec, and how samples are batched.

    Constructing checks the arguments and that files exist; no more.

    It may have ``prepare()``, which is called once per node before any ``setup``: downloads, conversions. ``setup``, in
    every process, reads or makes the data; everything below it in this list is there afterwards. It may have
    ``check_steps(steps)``, which refuses samples whose targets need more steps than the frontend makes of them.
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

        A pure function of its arguments. Only ``train`` may be shuffled; the evaluation splits hold every sample
        exactly once, and their metrics must not depend on ``batch_size``.
        """
        ...


class Frontend(Protocol):
    """Maps inputs to the input sequence of a model. Built as ``frontend(spec, *, options)``.

    ``rows_per_sequence`` says how many rows it makes of one sequence, 1 if it is not there; ``steps(lengths_B)``, if it
    is there, how many steps it makes of inputs of these lengths. To be streamed it has
    ``looks_ahead``, None or the reason why it cannot be, and, where a chunk needs the ones before it, ``stream``; see
    ``seqkit.inference.stream``.
    """

    output_size: int

    def __call__(self, inputs: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Map inputs to x_BTI and the valid steps of each row of it (None: all)."""
        ...


class Model(Protocol):
    """Maps a sequence to a sequence. Built as ``model(input_size, *, options)``; knows nothing of data or heads.

    Where it does not start from zero it has ``initial_state(batch_size)``, from which rows of a stream start anew. It
    may name the tensors of its state in ``states``, for exported files. A model that carries no state returns ``()``.
    """

    output_size: int
    causal: bool
    """Whether the output at a step depends on that step and earlier ones only."""

    def __call__(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        """Map x_BTI to y_BTH and the state after each row's last valid step.

        Padded steps never change a valid output nor the state; ``state=None`` starts from the initial state.
        """
        ...


class Head(Protocol):
    """Turns the model's output into predictions. Built as ``head(output_size, spec, causal, *, options)``.

    Refuses (ConfigError) a spec or a non-causal model that it cannot serve, naming one that it can. It may have

    - ``metrics()``: a further metric, for what its predictions hold beyond those of the task;
    - ``meaning``: a description of its outputs, for an exported file;
    - ``stream(y_BTH, batch, memory) -> (outputs, answer, memory)``, so that it can be streamed; see
      ``seqkit.inference.stream``;
    - a parameter ``rows_per_sequence`` after ``causal``, where it serves a frontend that makes several rows of one.
    """

    monitor: tuple[str, Literal["min", "max"]]
    """The metric that decides which checkpoint is best, and its direction."""

    def __call__(self, y: Tensor, lengths: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH, with the valid steps of each row as the frontend gave them, to the outputs."""
        ...

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int | Tensor]:
        """Return the summed loss of the batch and the number of items it sums over."""
        ...

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> Prediction:
        """Return the task's prediction for each row, in the units of the data; ``batch`` may have no targets."""
        ...

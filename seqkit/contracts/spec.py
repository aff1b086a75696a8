"""Specification of a data set: its input kind and its task."""

# B batch, T time

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from seqkit.contracts.batch import Batch, Split
from seqkit.errors import ConfigError

Prediction = Any
"""Prediction of a head for a batch, in the units of the data; one dataclass per task."""

Predictor = Callable[[Batch], Prediction]

Baseline = Predictor | dict[str, float]
"""A baseline: a function Batch -> Prediction, or (for n-grams) its finished metrics by name."""


class InputKind(Protocol):
    """The kind of sequence that a network reads: a frozen dataclass, registered with ``@register_inputs``.

    Its fields are plain values, tuples of them, or other registered dataclasses, so that it can be saved as JSON.
    """

    frontend: ClassVar[str]
    """Name of the frontend that reads it unless the user chooses another."""
    meaning: str
    """Meaning and unit of the input values, for the description of an exported file."""
    example_steps: int
    """Length of an example that is long enough for every frontend."""

    def read(self, source: Any, lookback: int | None = None) -> Tensor:
        """Make one sequence of what a person gives: a string, the path of a file, an array.

        Args:
            source: From the command line, or a Python value.
            lookback: Steps that the network was trained to read, the last ones of the source; None is all of them.

        Raises:
            DataError: The source cannot be read or is not of this kind.
        """
        ...

    def chunk(self, chunk: Any) -> Tensor:
        """Make a part of a sequence, of any length from 0, of what a program gives; raises as ``read``."""
        ...

    def example(self, rows: int, steps: int, draw: torch.Generator) -> Tensor:
        """Draw random inputs of this kind, (rows, steps, ...), for export and checks."""
        ...


class OptionalInputKind(Protocol):
    """What an input kind may have beside that of ``InputKind``; one that is left out is done without."""

    endings: ClassVar[tuple[str, ...]]
    """Endings of the files that it reads, in lower case, for predicting for all files of a folder."""

    cells: ClassVar[str]
    """Meaning of the cells that ``read_cell`` takes, in the plural, for messages."""

    def read_cell(self, cell: str, folder: Path) -> Tensor:
        """Make one sequence of a cell of a table in ``folder``, or of a line of standard input; raises as ``read``."""
        ...

    def sequences(self, path: Path, lookback: int | None) -> Iterator[tuple[str, Tensor]] | None:
        """Return the sequences of a file that holds many, with their names; None for a file that is one.

        Raises as ``read``, which is not called for such a file.
        """
        ...

    def sentences(self, source: Any) -> list[tuple[str, tuple[str, ...]]]:
        """Return the sentences of a text or file, with a name each and their words as they stand there.

        ``read`` takes such words, and an answer's ``words`` are these. Comes with ``sentence(source)``, the words of a
        source that holds one, and ``split(text)``, those of a cell. Raises as ``read``.
        """
        ...


class Metric(Protocol):
    """Sums over an evaluation split; a torchmetrics ``Metric``, so that devices can be joined."""

    def update(self, prediction: Any, batch: Batch) -> None: ...

    def compute(self) -> dict[str, Tensor]: ...


class Task(Protocol):
    """A prediction task: a frozen dataclass, registered with ``@register_task``; fields as of an ``InputKind``.

    Each method is given the whole spec, since some tasks need to know what they stand on. ``OptionalTask`` says what a
    task may have beside these.
    """

    head: ClassVar[str]
    """Name of the head that serves it unless the user chooses another."""

    def metrics(self, spec: "DataSpec") -> Metric:
        """Return a new metric, which reads predictions; the head's ``monitor`` names one of its scores."""
        ...

    def answers(self, prediction: Any, spec: "DataSpec") -> list[dict[str, Any]]:
        """Return each row of a prediction as plain JSON."""
        ...


class OptionalTask(Protocol):
    """Methods that a task may have beside those of ``Task``; one that is left out is done without."""

    examples: int
    """Samples that ``figures`` and ``sample`` are given; 4 where left out."""

    def text(self, answer: dict[str, Any]) -> str:
        """Return an answer as a person reads it; JSON where left out."""
        ...

    def rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Return an answer as rows of a table, for ``predict --output FILE``; no table can be had where left out.

        Every row has the same columns, whatever the answer, and plain values: text, numbers, None.
        """
        ...

    def write(self, answer: dict[str, Any], path: Path) -> Path:
        """Write an answer as a file, for ``predict --output``; only answers as text where left out.

        Args:
            answer: One of ``answers``.
            path: Without the ending, which the task adds to the name.

        Returns:
            The path of the file.
        """
        ...

    def baselines(self, spec: "DataSpec", data: Any, split: Split) -> dict[str, Baseline]:
        """Return the baselines that stand beside the scores; anything fitted comes from the training split."""
        ...

    def calibrated(self, spec: "DataSpec", data: Any, predict: Predictor, **options: Any) -> "Task":
        """Return the task with what a finished network's predictions for the validation part teach.

        The network is then built anew for it, scored and saved so; nothing is learned where this is left out.

        Args:
            spec: Of the data.
            data: Set up.
            predict: The network's prediction for a batch, both on the CPU.
            options: Of the head, its ``calibration``, if it has any.
        """
        ...

    def over_time(self, spec: "DataSpec") -> Callable[[Prediction, Batch], Prediction] | None:
        """Return what changes one prediction after another by the targets of those before; None where nothing does.

        It is called once per evaluation of a split, and then given every sample of it in order.

        Args:
            spec: Of the data that are evaluated.
        """
        ...

    def figures(self, results: "Results") -> dict[str, Any]:
        """Return matplotlib figures by file name without ending; none where left out."""
        ...

    def tables(self, metric: Any) -> dict[str, dict[str, list[Any]]]:
        """Return tables for the run's folder, as columns, by file name without ending; none where left out.

        Args:
            metric: Of the network, over the whole test split.
        """
        ...

    def sample(self, results: "Results") -> str:
        """Return a text sample for the report; none where left out."""
        ...

    def own_targets(self, inputs_BT: Tensor) -> Tensor:
        """Return the targets that inputs hold themselves, one per input but the first; left out where they hold none.

        A sequence to predict for is then scored too.
        """
        ...


@dataclass(frozen=True)
class DataSpec:
    """Input kind and task of a data set: enough to build frontend and head and to predict without the training data."""

    inputs: Any
    task: Any


@dataclass(frozen=True)
class Results:
    """Input of ``Task.figures`` and ``Task.sample``, after the evaluation of a split.

    Attributes:
        spec: Of the data.
        network: In evaluation mode.
        metric: Of the network, over the whole split.
        batch: A few examples of the split, on the CPU.
        prediction: The network's for these, on the CPU.
    """

    spec: DataSpec
    network: nn.Module
    metric: Any
    batch: Batch
    prediction: Any


def wrong_task(head: str, needs: str, spec: DataSpec) -> ConfigError:
    """Build the refusal of a task that a head does not serve; it names a head that does."""
    name = type(spec.task).__name__
    return ConfigError(f"head={head} needs {needs}, this data has {name}; use head={spec.task.head}")


def wrong_inputs(frontend: str, needs: str, spec: DataSpec) -> ConfigError:
    """Build the refusal of inputs that a frontend does not read; it names a frontend that does."""
    name = type(spec.inputs).__name__
    return ConfigError(f"frontend={frontend} needs {needs}, this data has {name}; use frontend={spec.inputs.frontend}")

"""Protocols of data, frontend, model, head, optimizer, scheduler and logger."""

# B batch, T time (steps), I input size, H output size of the model

from collections.abc import Callable, Sequence
from pathlib import Path
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
    ``seqkit.inference.stream``. It may have ``start()``, called once before the first step of a training and never when
    a checkpoint is read: weights from a file, say; what it returns is logged.

    It may say in ``row_names`` what each row of a parameter stands for, ``{"embedding.weight": vocabulary}``: a run
    that starts from another one's weights then takes rows by these names, as of a head. In ``column_names`` it may name
    the features of its output, which are then compared.
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
    - ``extras``: where it reads extras of a batch, a description of each by its name, for an exported file, and
      ``draw_extras(rows, draw)``, random ones by name, as an input kind's ``example`` draws inputs;
    - ``stream(y_BTH, batch, memory) -> (outputs, answer, memory)``, so that it can be streamed; see
      ``seqkit.inference.stream``;
    - ``tie(frontend)``: called once both are built, to share weights with the frontend;
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


class Optimizer(Protocol):
    """A ``torch.optim.Optimizer``. Built as ``optimizer(parameters, *, options)``.

    ``parameters`` are groups as torch takes them, to be passed on: dicts of ``params``, their ``names`` in the network
    ("model.layers.0.weight_hh"), and ``decay``, whether weight decay applies to them. ``lr`` is one of its defaults,
    and is read from the group at every step, where the scheduler changes it.

    A resume is exact where all that a step needs is in ``state`` and ``param_groups``: tensors, numbers, strings, and
    lists and dicts of them. Random numbers come from torch's global generator, whose state is saved.
    """

    param_groups: list[dict[str, Any]]

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Call ``closure``, under ``torch.enable_grad()``, which computes the gradients; step; return its loss.

        Without a closure, as where gradients are scaled (``trainer.precision=16-mixed``), they are there already.
        """
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


class Scheduler(Protocol):
    """Factor on the learning rate of every group. Built as ``scheduler(total_steps, mode, *, options)``.

    It may be a function that computes the factor from the step alone. One that remembers something is an object: a
    checkpoint holds its attributes, which must be plain (numbers, strings, lists, dicts, tensors), and not what a
    closure holds. On a resume it is built anew and asked for step 0 before its attributes are put back.

    It may have ``validated(score)``, which is told the monitored score after each validation that the interval asks for
    (not after one that is made only because the training ends); ``mode``, "min" or "max", says which score is better.
    """

    def __call__(self, step: int) -> float:
        """Return the factor after ``step`` finished optimizer steps, from 0; the same whenever it is asked for."""
        ...


class Logger(Protocol):
    """Takes a run's metrics, beside ``metrics.csv``. Built as ``logger(folder, config, *, options)`` at each start.

    One that raises is dropped with a warning, and the training goes on. A run that is resumed from a checkpoint logs
    again what it had logged after it. It may have

    - ``resume(step)``: called first on a resume, with the step of the checkpoint; lines beyond it will come again;
    - ``replays``: true to be given, on a resume, all metrics up to the checkpoint again, after ``resume``;
    - ``publish``, as ``PublishingLogger``;
    - ``finalize(status)``: flush; the last call of every start, after a fault or a stop too;
    - ``abandon()``: let go of everything; the last call after it has raised.
    """

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Log metrics by name under the number of finished optimizer steps."""
        ...


class PublishingLogger(Logger, Protocol):
    """A logger that takes the outcome of a finished run too."""

    def publish(self, report: dict[str, Any], figures: Sequence[Path], checkpoint: Path) -> None:
        """Send the outcome; the test scores have come before, as metrics of the best step.

        Args:
            report: Content of ``report.json``.
            figures: The report's PNG files.
            checkpoint: The best one.
        """
        ...

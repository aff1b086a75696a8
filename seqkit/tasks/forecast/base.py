"""Base of the forecasting heads: a few numbers per step and target, from the state after the last row seen."""

# B batch, T time, H output size of the model, F steps of the forecast (horizon), C target columns
# P numbers that a head needs per step and target, I input columns

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec, wrong_task
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.padding import last_valid, sequence_summary
from seqkit.precision import widened
from seqkit.tasks.forecast.known import KNOWN, KnownAhead
from seqkit.tasks.forecast.spec import Series

Anchor = Literal["auto", "last", "zero"]
Adaptation = Annotated[bool, Field(strict=True)] | Annotated[float, Field(gt=0, lt=1)]


class ForecastHead(nn.Module):
    """Abstract head of a series: what it adds is ``forward``, ``loss`` and ``predict``.

    Reads the model's output at the last valid step; of a bidirectional model the backward direction at the first step,
    where it has read everything. Where the frontend makes one row per column (frontend.channels=apart), each row is
    forecast by itself, with shared weights.

    Args:
        name: Under which the head is registered, for refusals.
        output_size: Of the model.
        spec: Of the data.
        causal: Whether the model is.
        rows_per_sequence: Rows that the frontend makes of one sequence.
        anchor: Value that the forecast is added to; see ``anchors``.
        dropout: Probability of dropping an output of the model in training.
        numbers: P.

    Raises:
        ConfigError: The data is no series, or does not have what an option needs.
    """

    feeds_back: ClassVar[bool] = False
    """Whether a forecast is fed back beyond the horizon: not where it would have to spread."""

    def __init__(
        self,
        name: str,
        output_size: int,
        spec: DataSpec,
        causal: bool,
        rows_per_sequence: int,
        anchor: Anchor,
        dropout: float,
        numbers: int = 1,
    ) -> None:
        super().__init__()
        series = spec.task
        if not isinstance(series, Series):
            raise wrong_task(name, "a series", spec)
        inputs = getattr(spec.inputs, "names", ())
        unread = [name for name in series.names if name not in inputs]
        for option, needed in (
            ("head.anchor=last", anchor == "last"),
            ("frontend.channels=apart", rows_per_sequence > 1),
        ):
            if needed and unread:
                raise ConfigError(f"{option} needs every target among the inputs; '{unread[0]}' is not")
        if series.transform == "difference" and not self.feeds_back:
            raise ConfigError(
                f"head={name} gives a spread, and that of a sum of differences is not the sum of theirs; use "
                "head=forecast or data.transform=none"
            )
        if not causal and output_size % 2:
            raise ConfigError(f"head={name} needs an output per direction, this model has {output_size} for both")
        self.series = series
        self.spec = spec
        self.columns = series.columns(spec) or []
        # A sum of differences starts from the last row by itself.
        self.anchored = anchor != "zero" and not unread and series.transform != "difference"
        self.causal = causal
        self.rows_per_sequence = rows_per_sequence
        self.numbers = numbers
        self.dropout = nn.Dropout(dropout)
        columns = 1 if rows_per_sequence > 1 else len(series.names)
        self.output = nn.Linear(output_size, series.horizon * columns * numbers)
        # Of a single target the rows are the steps, whatever its name: a run may start from one of another series.
        of = [f" of {name}" for name in series.names] if columns > 1 else [""]
        each = [f"number {number}{target}" for target in of for number in range(numbers)]
        steps = [f"{row}, step {step}" for step in range(series.horizon) for row in each]
        self.row_names = dict.fromkeys(("output.weight", "output.bias"), tuple(steps))
        self.row_names |= dict.fromkeys(("known.output.weight", "known.output.bias"), tuple(each))
        frames = spec.inputs
        ahead = isinstance(frames, Frames) and frames.columns("known", "calendar")
        self.known = KnownAhead(frames, output_size, columns * numbers) if ahead else None
        self.extras = {KNOWN: self.known.meaning} if self.known else {}

    def draw_extras(self, rows: int, draw: torch.Generator) -> dict[str, Tensor]:
        """Return random values of what the head reads beside the inputs, by name among the extras of a batch."""
        if self.known is None:
            return {}
        frames = self.spec.inputs
        values_BFI = frames.example(rows, self.series.horizon, draw)
        return {KNOWN: values_BFI[:, :, frames.columns("known", "calendar")]}

    def per_step(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to the numbers of each step and target (B, F, C, P), without the anchor.

        With several rows per sequence the first axis of ``y_BTH`` is B * I.
        """
        summary_BH = self.dropout(sequence_summary(y_BTH, lengths_B, self.causal))
        numbers = widened(self.output(summary_BH))
        if self.rows_per_sequence == 1:
            numbers_BFCP = numbers.view(len(batch), self.series.horizon, -1, self.numbers)
            if self.known is None:
                return numbers_BFCP
            return numbers_BFCP + widened(self.known(summary_BH, batch)).view_as(numbers_BFCP)
        numbers_BIFP = numbers.view(len(batch), self.rows_per_sequence, -1, self.numbers)
        return numbers_BIFP[:, self.columns].transpose(1, 2)

    def anchors(self, batch: Batch) -> Tensor:
        """Return the value that the forecast of each target is added to, in deviations, to be broadcast to (B, F, C).

        It is the last one seen where the head is anchored, or zero, what the scaling subtracts.
        """
        if not self.anchored:
            return batch.inputs.new_zeros(())
        last_BC = last_valid(batch.inputs, batch.lengths)[:, self.columns]
        return self.series.encoded(last_BC[:, None], batch)

    def stream(
        self, y_BTH: Tensor, batch: Batch, memory: Tensor | None
    ) -> tuple[Tensor, dict[str, Any], Tensor | None]:
        """Return the forecast after the last of some new steps, as a tensor and as a person reads it.

        The memory is what an interval depends on: the last rows, as many as the network was trained to read.
        """
        outputs = self(y_BTH, None, batch)
        seen = batch.inputs if memory is None else torch.cat((memory, batch.inputs), 1)
        seen = seen[:, -(self.series.lookback or seen.shape[1]) :]
        prediction = self.predict(outputs, None, replace(batch, inputs=seen))
        return outputs, self.series.answers(prediction, self.spec)[0], seen if self.columns else None

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> Any:
        """Return the prediction in the units of the data; each head has its own."""
        raise NotImplementedError

"""Frames: vectors of numbers at even steps."""

# T time (rows), I numbers per frame

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from seqkit.errors import DataError
from seqkit.inputs.chunks import as_numbers
from seqkit.inputs.frames.latest import Latest, following
from seqkit.inputs.frames.reading import read_array, read_end, read_rows, rows_of
from seqkit.inputs.frames.tables import Fill
from seqkit.inputs.frames.times import SECOND
from seqkit.registry import register_inputs


@register_inputs("frames")
@dataclass(frozen=True)
class Frames:
    """Vectors of numbers at even steps.

    Attributes:
        names: One per number of a frame.
        mean: Of the training split, one per name, in the units of the data.
        scale: Standard deviation of the training split, likewise.
        rate: Steps per second, None where the steps have no duration.
        time_column: Of a table to predict from, to check that its steps are even; None where there is none.
        missing: How its empty cells and left-out rows are treated.
        repeats: How its rows with the time of the row before are treated.
    """

    frontend: ClassVar[str] = "frames"
    meaning: ClassVar[str] = (
        "frames in the units of the data, in the order of spec.inputs.names; the scaling is in the model"
    )
    example_steps: ClassVar[int] = 50
    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    rate: float | None = None
    time_column: str | None = field(default=None, compare=False)
    missing: Fill = field(default="refuse", compare=False)
    repeats: Literal["refuse", "first"] = field(default="refuse", compare=False)

    def read(self, source: Any, lookback: int | None = None) -> Tensor:
        """Return rows_TI of a CSV or Parquet file with these columns, or of an array (T, I)."""
        if isinstance(source, str) or hasattr(source, "__fspath__"):
            return read_rows(source, self.names, lookback, self.time_column, self.missing, self.repeats)
        return read_array(source, self.names, lookback)

    def latest(self, source: Any, lookback: int | None, horizon: int, known: Any = None) -> list[Latest]:
        """Return the last rows of each series of a file, with the ``horizon`` times that follow them.

        Args:
            source: Path of a CSV or Parquet file.
            lookback: Rows to return; None is all.
            horizon: Rows to come.
            known: Path of a file with the columns that are known ahead, of the rows to come.

        Raises:
            DataError: A file cannot be read, or has another step than the training data.
        """
        if known is not None:
            raise DataError(f"{known}: the model reads no columns that are known ahead. Leave the file out")
        table = read_end(source, self.names, lookback, self.time_column, self.missing, self.repeats)
        rows_TI = rows_of(table, self.names, lookback)
        if table.times is None:
            return [Latest(rows_TI)]
        if self.rate and table.times.rate != self.rate and len(rows_TI) > 1:
            raise DataError(
                f"{table.path}: its rows are {table.times.distance(table.times.step)} apart, those of the training "
                f"data {table.times.distance(round(SECOND / self.rate))}. Expected the same step"
            )
        return [Latest(rows_TI, about={"times": following(table.times, horizon, str(table.path))})]

    def chunk(self, chunk: Any) -> Tensor:
        """Return rows (T, I), one row (I,), or the values (T,) of a single quantity as rows_TI."""
        due = f"rows (rows, {len(self.names)}): {', '.join(self.names)}"
        return as_numbers(chunk, (len(self.names),), due)

    def example(self, rows: int, steps: int, draw: torch.Generator) -> Tensor:
        noise = torch.randn(rows, steps, len(self.names), generator=draw)
        return torch.tensor(self.mean) + noise * torch.tensor(self.scale)

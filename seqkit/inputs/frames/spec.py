"""Frames: vectors of numbers at even steps."""

# T time (rows), I numbers per frame

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from seqkit.inputs.chunks import as_numbers
from seqkit.inputs.delimited import EXCEL, PARQUET, Separator
from seqkit.inputs.frames.decimals import Decimal
from seqkit.inputs.frames.reading import read_array, read_rows
from seqkit.inputs.frames.tables import Fill, Notation
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
        separator: Between the cells of the file trained on; as decimal and date_format it settles what another file
            leaves open.
        decimal: Decimal mark of that file.
        date_format: Of its times, None for ISO 8601.
    """

    frontend: ClassVar[str] = "frames"
    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".csv.gz", ".tsv.gz", *PARQUET, *EXCEL)
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
    separator: Separator | None = field(default=None, compare=False)
    decimal: Decimal | None = field(default=None, compare=False)
    date_format: str | None = field(default=None, compare=False)

    def read(self, source: Any, lookback: int | None = None) -> Tensor:
        """Return rows_TI of a CSV or Parquet file with these columns, or of an array (T, I)."""
        if isinstance(source, str) or hasattr(source, "__fspath__"):
            notation = Notation(self.separator, self.decimal, self.date_format, found=True)
            return read_rows(source, self.names, lookback, self.time_column, self.missing, self.repeats, notation)
        return read_array(source, self.names, lookback)

    def chunk(self, chunk: Any) -> Tensor:
        """Return rows (T, I), one row (I,), or the values (T,) of a single quantity as rows_TI."""
        due = f"rows (rows, {len(self.names)}): {', '.join(self.names)}"
        return as_numbers(chunk, (len(self.names),), due)

    def example(self, rows: int, steps: int, draw: torch.Generator) -> Tensor:
        noise = torch.randn(rows, steps, len(self.names), generator=draw)
        return torch.tensor(self.mean) + noise * torch.tensor(self.scale)

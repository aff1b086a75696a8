"""The future of a series: forecasts of the rows after the end of a file."""

# T time (rows), I numbers per frame

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.files import existing_folder, write_atomic
from seqkit.network import Network

ROWS = 64  # series that go through at once
TABLES = (".csv", ".parquet")
FIGURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Future:
    """Forecasts of the rows after the end of a file.

    Attributes:
        answers: The task's answer for each series, as plain JSON, with the ``times`` of its rows where they are known.
        pasts: The rows (T, I) that each was made from.
        spec: Of the data.
    """

    answers: list[dict[str, Any]]
    pasts: list[Tensor]
    spec: DataSpec

    def table(self, brief: bool = False) -> dict[str, list[Any]]:
        """Return one row per series and step, as columns by name; ``polars.DataFrame`` and pandas' take it.

        Args:
            brief: Whether to leave out quantiles that a person has no need of.
        """
        return self.spec.task.future(self.answers, self.spec, brief)

    def write(self, path: str | Path) -> Path:
        """Write the table as CSV or Parquet, by the ending of the name, and return its path."""
        import polars as pl

        place, buffer = _place(path, TABLES), io.BytesIO()
        frame = pl.DataFrame(self.table())
        if place.suffix == ".csv":
            frame.write_csv(buffer)
        else:
            frame.write_parquet(buffer)
        write_atomic(place, buffer.getvalue())
        return place

    def plot(self, path: str | Path) -> Path:
        """Draw the first series with the rows before them, as PNG, SVG or PDF, and return the path."""
        place, buffer = _place(path, FIGURES), io.BytesIO()
        figure = self.spec.task.future_figure(self.answers, self.pasts, self.spec)
        figure.savefig(buffer, format=place.suffix[1:], dpi=110)
        write_atomic(place, buffer.getvalue())
        return place


@torch.no_grad()
def forecast(network: Network, spec: DataSpec, source: str | Path, known: str | Path | None = None) -> Future:
    """Forecast the rows after the end of a file.

    Args:
        network: In evaluation mode.
        spec: Of the data that it was trained on.
        source: CSV or Parquet file with the columns of the training data, of which the last rows are read.
        known: Likewise, with the columns that are known ahead for the rows to come; None where there are none.

    Raises:
        ConfigError: The network was trained for something that has no future.
        DataError: A file cannot be read or is not what the network was trained on.
    """
    refuse_without_future(spec)
    series = spec.inputs.latest(source, spec.task.lookback, spec.task.horizon, known)
    device = next(network.parameters()).device
    rows = ROWS if spec.task.lookback else 1  # of one length
    answers: list[dict[str, Any]] = []
    for start in range(0, len(series), rows):
        group = series[start : start + rows]
        extras = {name: torch.stack([one.extras[name] for one in group]) for name in group[0].extras}
        batch = Batch(torch.stack([one.inputs for one in group]), extras=extras).to(device)
        outputs, lengths_B, _ = network(batch)
        found = spec.task.answers(network.head.predict(outputs, lengths_B, batch), spec)
        answers += [{**one.about, **answer} for one, answer in zip(group, found, strict=True)]
    return Future(answers, [one.inputs for one in series], spec)


def refuse_without_future(spec: DataSpec) -> None:
    """Refuse a run whose task or inputs have no rows to come; raises ``ConfigError``, which names what to use."""
    if not (hasattr(spec.task, "future") and hasattr(spec.inputs, "latest")):
        command = "generate" if hasattr(spec.task, "continue_text") else "predict"
        raise ConfigError(
            f"forecast needs a run on the rows of a series; this one is trained for {type(spec.task).__name__}. "
            f"Use `seqkit {command}`"
        )


def _place(path: str | Path, endings: Sequence[str]) -> Path:
    place = Path(path).expanduser()
    if place.suffix not in endings:
        raise ConfigError(f"{place}: expected a name that ends in {', '.join(endings[:-1])} or {endings[-1]}")
    existing_folder(place.parent, "a folder to write to")
    if place.is_dir():
        raise ConfigError(f"{place}: is a folder. Expected the name of a file to write")
    return place

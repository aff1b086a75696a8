"""The future of a series: forecasts of the rows after the end of a file."""

# B series, T time (rows), I numbers per frame, F steps of the trained horizon

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from logging import getLogger
from math import ceil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, DataError
from seqkit.files import existing_folder, write_atomic
from seqkit.network import Network

LOG = getLogger("seqkit")

ROWS = 64  # series that go through at once
WALKED = 4096  # earlier windows, of all series together, that intervals are adapted by
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
def forecast(
    network: Network,
    spec: DataSpec,
    source: str | Path,
    known: str | Path | None = None,
    horizon: int | None = None,
) -> Future:
    """Forecast the rows after the end of a file.

    Beyond the trained horizon the forecast is fed back as rows that were seen, a whole horizon at a time.

    Args:
        network: In evaluation mode.
        spec: Of the data that it was trained on.
        source: CSV or Parquet file with the columns of the training data, of which the last rows are read.
        known: Likewise, with the columns that are known ahead for the rows to come; None where there are none.
        horizon: Rows to forecast; as many as the network was trained for if None.

    Raises:
        ConfigError: The network was trained for something that has no future, or has none so far ahead.
        DataError: A file cannot be read or is not what the network was trained on.
    """
    refuse_without_future(spec)
    trained = spec.task.horizon
    count = trained if horizon is None else horizon
    if count < 1:
        raise ConfigError(f"a forecast of {count} rows: expected 1 or more")
    if count > trained:
        _check_beyond(network, count, trained)
    device = next(network.parameters()).device
    over_time = spec.task.over_time(spec) if hasattr(spec.task, "over_time") else None
    series = spec.inputs.latest(source, spec.task.lookback, count, known)
    if over_time and spec.task.columns(spec) and spec.task.lookback:
        try:
            pasts = [one.whole() for one in series]
        except DataError as error:  # before the rows that are read for the forecast
            LOG.warning("intervals are not adapted to what the rows before would have missed: %s", error)
            over_time = None
        else:
            walk(network, spec, pasts, over_time)
    rows = ROWS if spec.task.lookback else 1  # of one length
    answers: list[dict[str, Any]] = []
    for start in range(0, len(series), rows):
        group = series[start : start + rows]
        inputs = torch.stack([one.inputs for one in group])
        ahead = {name: torch.stack([one.extras[name] for one in group]) for name in group[0].extras}
        parts: list[list[dict[str, Any]]] = []
        for first in range(0, count, trained):
            extras = {name: _steps(values, first, trained) for name, values in ahead.items()}
            batch = Batch(inputs, extras=extras).to(device)
            outputs, lengths_B, _ = network(batch)
            prediction = network.head.predict(outputs, lengths_B, batch)
            if over_time and not first:
                numbers = torch.arange(start, start + len(group))
                prediction = over_time(prediction, replace(batch, extras={"series": numbers}))
            parts.append(spec.task.answers(prediction, spec))
            if first + trained < count:
                inputs = spec.inputs.continued(inputs, parts[-1], extras)[:, -inputs.shape[1] :]
        found = parts[0] if count == trained else [spec.task.joined(own, count) for own in zip(*parts, strict=True)]
        answers += [{**one.about, **answer} for one, answer in zip(group, found, strict=True)]
    return Future(answers, [one.inputs for one in series], spec)


def walk(network: Network, spec: DataSpec, pasts: Sequence[Tensor], over_time: Any) -> None:
    """Let ``over_time`` see how well the last rows of each series would have been forecast, window after window.

    Args:
        network: In evaluation mode.
        spec: Of the data.
        pasts: All rows (T, I) of each series, at least as many as the network reads.
        over_time: Of the task; it knows the series by their numbers.
    """
    lookback, horizon, stride = spec.task.lookback, spec.task.horizon, spec.task.stride
    columns, known = spec.task.columns(spec), spec.inputs.columns("known", "calendar")
    device = next(network.parameters()).device
    for number, past_TI in enumerate(pasts):
        last = len(past_TI) - ceil(horizon / stride) * stride  # as far before the forecast as windows are apart
        count = min((last - lookback) // stride + 1, WALKED // len(pasts))
        starts = range(last - (count - 1) * stride, last + 1, stride)
        for first in range(0, len(starts), ROWS):
            group = starts[first : first + ROWS]
            ahead = torch.stack([past_TI[start : start + horizon] for start in group])
            batch = Batch(
                torch.stack([past_TI[start - lookback : start] for start in group]),
                targets=ahead[..., columns],
                extras={"known": ahead[..., known]} if known else {},
            ).to(device)
            outputs, lengths_B, _ = network(batch)
            numbers = torch.full((len(group),), number)
            over_time(network.head.predict(outputs, lengths_B, batch), replace(batch, extras={"series": numbers}))


def _steps(values: Tensor, first: int, count: int) -> Tensor:
    """Return ``count`` steps of values (B, N, ...); of steps beyond the last, which no answer keeps, the last one."""
    steps = torch.arange(first, first + count).clamp(max=values.shape[1] - 1)
    return values[:, steps]


def _check_beyond(network: Network, count: int, trained: int) -> None:
    """Refuse to forecast beyond the trained horizon by a head whose answers cannot be fed back; say what is missing."""
    if not getattr(network.head, "feeds_back", False):
        raise ConfigError(
            f"a forecast of {count:,} rows: head={network.made_by['head'].name} forecasts the {trained:,} rows that it "
            f"was trained for, and the spread of later ones is not known. Train with data.horizon={count}, or with "
            "head=forecast"
        )
    LOG.warning(
        "rows after the first %s, the trained horizon, are forecast from the forecast itself; no intervals are given",
        f"{trained:,}",
    )


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

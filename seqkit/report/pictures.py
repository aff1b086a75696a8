"""The pictures of a report, one kind for each kind of target, and a sample to read."""

# B batch, T time, C targets of a series

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seqkit.contracts import Batch, Classes, Data, Frames, NextToken, Series, Transcript, Waveform
from seqkit.inference.evaluate import each_batch
from seqkit.network import Network
from seqkit.runs.metrics_csv import read_metrics

EXAMPLES = 4
SAMPLE_LENGTH = 400


@dataclass(frozen=True)
class Shown:
    """File names of pictures in the run's folder, and a text sample (empty where there is none)."""

    pictures: tuple[str, ...] = ()
    sample: str = ""


def draw_learning_curves(metrics: Path, picture: Path, monitor: str) -> None:
    """Draw training loss, validation loss and the monitored score over optimizer steps.

    Args:
        metrics: The run's ``metrics.csv``.
        picture: PNG to write.
        monitor: Name of the monitored score.
    """
    rows = read_metrics(metrics)
    figure, axes = _figure(1, 2, 9, 3.2)
    for panel, names in zip(axes, (("train/loss", "valid/loss"), (f"valid/{monitor}",)), strict=True):
        for name in names:
            points = [(step, value) for step, metric, value in rows if metric == name]
            if points:
                steps, values = zip(*points, strict=True)
                panel.plot(steps, values, label=name, marker="o" if name.startswith("valid") else "", markersize=3)
        panel.set_xlabel("optimizer steps")
        if panel.lines:
            panel.legend()
    axes[0].set_ylabel("loss")
    axes[1].set_ylabel(monitor.replace("_", " "))
    _save(figure, picture)


def show_task(folder: Path, network: Network, data: Data) -> Shown:
    """Make what a person wants to see of the network's predictions on the test part."""
    targets, inputs = data.spec.targets, data.spec.inputs
    if isinstance(targets, NextToken):
        from seqkit.inference.generate import generate

        return Shown(sample=generate(network, data.spec, "", SAMPLE_LENGTH, 0.7, None, 1))
    if isinstance(targets, Classes):
        _draw_confusion(network, data, targets.names, folder / "confusion_matrix.png")
        return Shown(("confusion_matrix.png",))
    batch, predictions = _examples(network, data)
    if isinstance(targets, Series) and isinstance(inputs, Frames):
        _draw_forecast(batch, predictions, inputs, targets, folder / "forecast.png")
        return Shown(("forecast.png",))
    if isinstance(targets, Transcript) and isinstance(inputs, Waveform):
        texts = _references(batch, targets)
        heard = [prediction["text"] for prediction in predictions]
        _draw_spectrograms(batch, texts, heard, inputs.sample_rate, folder / "spectrogram.png")
        lines = [f"said  {text}\nheard {guess}" for text, guess in zip(texts, heard, strict=True)]
        return Shown(("spectrogram.png",), "\n".join(lines))
    return Shown()


@torch.no_grad()
def _examples(network: Network, data: Data) -> tuple[Batch, list[Any]]:
    """Return a few test samples, spread evenly over the part, as one batch, with the network's predictions."""
    part: Any = data.part("test")
    count = min(EXAMPLES, len(part))
    batch = data.collate([part[int(place)] for place in torch.linspace(0, len(part) - 1, count)])
    there = batch.to(next(network.parameters()).device)
    outputs, lengths_B, _ = network(there)
    return batch, network.head.decode(outputs, lengths_B, there)


def _references(batch: Batch, targets: Transcript) -> list[str]:
    assert batch.targets is not None
    lengths = batch.target_lengths if batch.target_lengths is not None else [batch.targets.shape[1]] * len(batch)
    rows = zip(batch.targets, lengths, strict=True)
    return ["".join(targets.symbols[int(i)] for i in row[: int(length)]) for row, length in rows]


def _draw_confusion(network: Network, data: Data, names: Sequence[str], picture: Path) -> None:
    scores = network.head.scores().to(next(network.parameters()).device)
    each_batch(network, data, "test", data.batch_size, scores.update)
    counts = scores.confusion.cpu()  # type: ignore[attr-defined]
    side = min(20.0, max(4.0, 0.45 * len(names)))
    figure, [axis] = _figure(1, 1, side + 1, side)
    share = counts / counts.sum(1, keepdim=True).clamp(min=1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= 30:
        for row in range(len(names)):
            for column in range(len(names)):
                if counts[row, column]:
                    color = "white" if share[row, column] > 0.5 else "black"
                    axis.text(column, row, int(counts[row, column]), ha="center", va="center", color=color, fontsize=8)
    if len(names) <= 60:
        axis.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
        axis.set_yticks(range(len(names)), names, parse_math=False)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    _save(figure, picture)


def _draw_forecast(batch: Batch, predictions: list[Any], inputs: Frames, targets: Series, picture: Path) -> None:
    """Draw the seen rows, the truth and the forecast of each example; without a past among the inputs, only points."""
    assert batch.targets is not None
    truth_BTC = batch.targets.reshape(len(batch), targets.horizon, len(targets.names))
    shown = [name for name in targets.names if name in inputs.names][:3] or list(targets.names[:1])
    figure, axes = _figure(len(shown), len(batch), 3.2 * len(batch), 2.4 * len(shown))
    for place, axis in enumerate(axes):
        name, row = shown[place // len(batch)], place % len(batch)
        column = targets.names.index(name)
        ahead = range(targets.horizon)
        if name in inputs.names:
            steps = int(batch.lengths[row]) if batch.lengths is not None else batch.inputs.shape[1]
            keep = min(steps, 3 * targets.horizon)
            past = batch.inputs[row, steps - keep : steps, inputs.names.index(name)]
            axis.plot(range(-keep, 0), past, color="gray", label="seen")
        mark = "o" if targets.horizon == 1 else ""
        axis.plot(ahead, truth_BTC[row, :, column], color="black", marker=mark, label="truth")
        forecast = [values[column] for values in predictions[row]["values"]]
        axis.plot(ahead, forecast, color="tab:orange", marker=mark, label="forecast")
        if row == 0:
            axis.set_ylabel(name, parse_math=False)
    axes[0].legend(fontsize=8)
    axes[-1].set_xlabel("steps ahead")
    _save(figure, picture)


def _draw_spectrograms(batch: Batch, texts: list[str], heard: list[str], rate: int, picture: Path) -> None:
    figure, axes = _figure(len(batch), 1, 9, 1.9 * len(batch))
    for row, axis in enumerate(axes):
        steps = int(batch.lengths[row]) if batch.lengths is not None else batch.inputs.shape[1]
        axis.specgram(batch.inputs[row, :steps].numpy(), NFFT=256, Fs=rate, noverlap=192, cmap="magma")
        axis.set_title(f"said {texts[row]!r}, heard {heard[row]!r}", fontsize=9, loc="left", parse_math=False)
        axis.set_ylabel("Hz")
    axes[-1].set_xlabel("seconds")
    _save(figure, picture)


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    # The object interface: pyplot keeps global state and would choose a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _save(figure: Any, picture: Path) -> None:
    temporary = picture.with_name(f".{picture.name}")
    figure.savefig(temporary, format="png", dpi=110)
    temporary.replace(picture)

"""Predictions for a user's own new inputs: text, a table, a recording, or an array."""

# B batch, T time (tokens, rows or samples), I numbers a frame

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqkit.contracts import Batch, DataSpec, Frames, Series, State, Tokens, Waveform
from seqkit.errors import DataError
from seqkit.network import Network

CHUNK = 4096  # tokens of a long text that go through at once


@torch.no_grad()
def predict(
    network: Network,
    spec: DataSpec,
    inputs: Any,
    time_column: str | None = None,
    missing: str = "refuse",
    repeats: str = "refuse",
) -> list[Any]:
    """Predict for each input, one at a time.

    Args:
        network: In evaluation mode.
        spec: Of the data that it was trained on.
        inputs: One input or a list of them. For text: a string, or the path of a UTF-8 file. For frames: the path of
            a CSV or Parquet file with the columns of the training data, of which the last rows are read, or an array
            (T, I). For sound: the path of a WAV or FLAC file, or an array (T,) at the spec's sample rate.
        time_column: Of a table, to check that its steps are even; as in the training data, like the next two.
        missing: What to do about empty cells and rows of a table.
        repeats: What to do about rows of a table with the time of the row before.

    Returns:
        For each input what the head's ``decode`` gives, as plain JSON.

    Raises:
        DataError: An input cannot be read or is not what the network was trained on.
    """
    several = inputs if isinstance(inputs, list | tuple) else [inputs]
    device = next(network.parameters()).device
    if isinstance(spec.inputs, Tokens):
        return [_predict_text(network, spec.inputs, source, device) for source in several]
    predictions = []
    for source in several:
        sound = isinstance(spec.inputs, Waveform)
        sequence = _read_waveform(spec, source) if sound else _read_frames(spec, source, time_column, missing, repeats)
        batch = Batch(sequence[None]).to(device)
        outputs, lengths_B, _ = network(batch)
        predictions += network.head.decode(outputs, lengths_B, batch)
    return predictions


def readable(source: str, prediction: dict[str, Any]) -> str:
    """Return a prediction as a person reads it, for the terminal."""
    if "label" in prediction:
        return f"{source}: {prediction['label']} ({prediction['probability']:.1%})"
    if "text" in prediction:
        return f"{source}: {prediction['text']}"
    if "values" in prediction:
        rows = [["step", *prediction["names"]]]
        rows += [[str(step), *(f"{v:.6g}" for v in row)] for step, row in enumerate(prediction["values"], 1)]
        return "\n".join([f"{source}:", *("  ".join(cell.rjust(10) for cell in row) for row in rows)])
    if "next" not in prediction:
        return f"{source}: {json.dumps(prediction, ensure_ascii=False)}"
    likely = ", ".join(f"{token!r} {probability:.1%}" for token, probability in prediction["next"].items())
    scores = "  ".join(f"{name} {value:.4g}" for name, value in prediction.items() if name != "next")
    return f"{source}: next {likely}" + (f"\n    {scores}" if scores else "")


def _predict_text(network: Network, tokens: Tokens, source: Any, device: torch.device) -> dict[str, Any]:
    from seqkit.data.text import encode, read_text
    from seqkit.files import existing_file

    text = str(source)
    name = repr(text)
    named = isinstance(source, Path) or (text.endswith(".txt") and len(text.split()) == 1)
    if named or os.path.isfile(text):
        existing_file(text, "a UTF-8 text file")
        name, text = text, read_text([Path(text)])
    ids_T = encode(tokens, text).to(device)
    if not len(ids_T):
        raise DataError(f"{name}: no text to predict from")
    scores = network.head.scores().to(device)
    state: State | None = None
    for start in range(0, len(ids_T), CHUNK):
        inputs_T, targets_T = ids_T[start : start + CHUNK], ids_T[start + 1 : start + CHUNK + 1]
        outputs, _, state = network(Batch(inputs_T[None]), state)
        if len(targets_T):
            scores.update(
                outputs[:, : len(targets_T)], None, Batch(inputs_T[None, : len(targets_T)], None, targets_T[None])
            )
    last = network.head.decode(outputs[:, -1:], None, Batch(inputs_T[None, -1:]))[0]
    found = {name: float(value) for name, value in scores.compute().items()} if len(ids_T) > 1 else {}
    return {"next": last["next"], **found}


def _read_frames(spec: DataSpec, source: Any, time_column: str | None, missing: Any, repeats: str) -> Tensor:
    from seqkit.data.tables import fill, last_rows, read_table, without_repeats
    from seqkit.files import existing_file

    assert isinstance(spec.inputs, Frames)
    names = spec.inputs.names
    lookback = spec.targets.lookback if isinstance(spec.targets, Series) else None
    if isinstance(source, str | Path):
        path = existing_file(source, f"a CSV or Parquet file with columns {', '.join(names)}")
        table = read_table(path, time_column, names, others=False)
        if repeats == "first":
            table, _ = without_repeats(table)
        if missing == "refuse" and lookback:  # rows before those that are read may have gaps
            table = last_rows(table, lookback)
        table, _ = fill(table, missing)
        order = [table.names.index(name) for name in names]
        rows_TI, where = torch.from_numpy(table.values_RN[:, order]).float(), str(path)
    else:
        rows_TI, where = torch.as_tensor(np.asarray(source), dtype=torch.float32), "the array"
        if rows_TI.ndim != 2 or rows_TI.shape[1] != len(names):
            raise DataError(
                f"{where} has shape {tuple(rows_TI.shape)}; expected (rows, {len(names)}): {', '.join(names)}"
            )
    _check_finite(rows_TI, where)
    if lookback and len(rows_TI) < lookback:
        raise DataError(f"{where} has {len(rows_TI)} rows; the model was trained to read {lookback}")
    return rows_TI[-lookback:] if lookback else rows_TI


def _read_waveform(spec: DataSpec, source: Any) -> Tensor:
    from seqkit.data.sound_files import read_waveform
    from seqkit.files import existing_file

    assert isinstance(spec.inputs, Waveform)
    if isinstance(source, str | Path):
        return read_waveform(existing_file(source, "a WAV or FLAC file"), spec.inputs.sample_rate)
    waveform_T = torch.as_tensor(np.asarray(source), dtype=torch.float32)
    if waveform_T.ndim != 1 or not len(waveform_T):
        rate = spec.inputs.sample_rate
        raise DataError(
            f"the array has shape {tuple(waveform_T.shape)}; expected (samples,) at {rate} samples a second"
        )
    _check_finite(waveform_T, "the array")
    return waveform_T


def _check_finite(values: Tensor, where: str) -> None:
    if not bool(values.isfinite().all()):
        raise DataError(f"{where} holds values that are not numbers (NaN or infinity)")

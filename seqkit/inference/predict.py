"""Predictions for a user's own new inputs, of any input kind and for any task."""

# T time

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch, State
from seqkit.contracts.spec import DataSpec
from seqkit.network import Network

CHUNK = 4096  # steps of a long sequence with targets of its own that go through at once, where that changes nothing


def predict(network: Network, spec: DataSpec, inputs: Any) -> list[Any]:
    """Predict for each input, one at a time.

    Args:
        network: In evaluation mode.
        spec: Of the data that it was trained on.
        inputs: One input or a list of them, each as the input kind reads it: for text a string, or the path of a UTF-8
            file; for frames the path of a CSV or Parquet file with the columns of the training data, of which the last
            rows are read, or an array (T, I); for sound the path of a WAV or FLAC file, or an array (T,).

    Returns:
        For each input the task's answer, as plain JSON.

    Raises:
        DataError: An input cannot be read or is not what the network was trained on.
    """
    sources = inputs if isinstance(inputs, list | tuple) else [inputs]
    lookback = getattr(spec.task, "lookback", None)
    return [predict_sequence(network, spec, spec.inputs.read(source, lookback)) for source in sources]


@torch.no_grad()
def predict_sequence(network: Network, spec: DataSpec, sequence: Tensor) -> Any:
    """Return the answer for one sequence, as the input kind's ``read`` gives it."""
    device = next(network.parameters()).device
    if not hasattr(spec.task, "own_targets"):
        batch = Batch(sequence[None]).to(device)
        outputs, lengths_B, _ = network(batch)
        return spec.task.answers(network.head.predict(outputs, lengths_B, batch), spec)[0]
    metric: Any = spec.task.metrics(spec).to(device)
    state: State | None = None
    answer, scored = {}, False
    size = CHUNK if len(sequence) > CHUNK and network.takes_chunks(spec) else len(sequence)
    for inputs_T, targets_T in _chunks(sequence, spec, size):
        batch = Batch(inputs_T[None]).to(device)
        outputs, lengths_B, state = network(batch, state)
        answer = spec.task.answers(network.head.predict(outputs, lengths_B, batch), spec)[0]
        steps = len(targets_T)
        if steps:
            known = Batch(batch.inputs[:, :steps], targets=targets_T[None].to(device))
            metric.update(network.head.predict(outputs[:, :steps], None, known), known)
            scored = True
    return answer | ({name: float(value) for name, value in metric.compute().items()} if scored else {})


def _chunks(sequence: Tensor, spec: DataSpec, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pieces of a long sequence, each with the targets that the sequence itself holds."""
    targets_T = spec.task.own_targets(sequence[None])[0]
    for start in range(0, len(sequence), size):
        yield sequence[start : start + size], targets_T[start : start + size]

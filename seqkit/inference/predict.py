"""Predictions for a user's own new inputs, of any input kind and for any task."""

# T time

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch, State
from seqkit.contracts.spec import DataSpec
from seqkit.errors import SeqkitError
from seqkit.inference.sources import Source
from seqkit.network import Network
from seqkit.padding import pad

CHUNK = 4096  # steps of a long sequence with targets of its own that go through at once, where that changes nothing
WINDOW = 16  # batches that are read before they are made, so that sequences of like length share one


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
    answers = []
    for source in sources:
        words = spec.inputs.sentence(source) if hasattr(spec.inputs, "sentence") else None
        answer = predict_sequence(network, spec, spec.inputs.read(source if words is None else words, lookback))
        answers.append(named(answer, words))
    return answers


def named(answer: dict[str, Any], words: Sequence[str] | None) -> dict[str, Any]:
    """Return an answer with the words of its steps as they stand in the source, where it names them."""
    return answer if words is None or "words" not in answer else {**answer, "words": list(words)}


def predict_each(
    network: Network,
    spec: DataSpec,
    sources: Iterable[Source],
    batch_size: int = 64,
    skipped: Callable[[str, SeqkitError], None] | None = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the id and the task's answer for each source, in their order.

    Sequences are batched by length, out of those of the next few batches, so that memory does not grow with their
    number. Padding does not change an answer.

    Args:
        network: In evaluation mode.
        spec: Of the data that it was trained on.
        sources: See ``seqkit.inference.sources``.
        batch_size: Sequences per batch.
        skipped: Called with the id and the refusal of a source that cannot be read, which is then left out; None lets
            the refusal end it all.

    Raises:
        DataError: A source cannot be read, where it is not to be skipped.
    """
    remaining = iter(sources)
    while window := list(islice(remaining, batch_size * WINDOW)):
        sequences: dict[int, Tensor] = {}
        for number, source in enumerate(window):
            try:
                sequences[number] = source.read()
            except SeqkitError as error:
                if skipped is None:
                    raise
                skipped(source.id, error)
        by_length = sorted(sequences, key=lambda number: (len(sequences[number]), number))
        answers: dict[int, dict[str, Any]] = {}
        for start in range(0, len(by_length), batch_size):
            batch = by_length[start : start + batch_size]
            answers |= zip(batch, predict_batch(network, spec, [sequences[number] for number in batch]), strict=True)
        yield from ((window[number].id, named(answers[number], window[number].words)) for number in sequences)


@torch.no_grad()
def predict_batch(network: Network, spec: DataSpec, sequences: list[Tensor]) -> list[Any]:
    """Return the answers for sequences, in one batch where the task allows it."""
    if hasattr(spec.task, "own_targets"):
        return [predict_sequence(network, spec, sequence) for sequence in sequences]
    batch = Batch(*pad(sequences)).to(next(network.parameters()).device)
    outputs, lengths_B, _ = network(batch)
    return spec.task.answers(network.head.predict(outputs, lengths_B, batch), spec)


@torch.no_grad()
def predict_sequence(network: Network, spec: DataSpec, sequence: Tensor) -> Any:
    """Return the answer for one sequence, as the input kind's ``read`` gives it."""
    if not hasattr(spec.task, "own_targets"):
        return predict_batch(network, spec, [sequence])[0]
    device = next(network.parameters()).device
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

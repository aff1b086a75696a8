"""What scores mean: those of the majority class, and of the empty transcript."""

# B batch, T time, C classes, V symbols and the blank

import torch
from torch import Tensor

from seqkit.contracts import Batch, Classes, Data, DataSpec, Head, Split, Transcript
from seqkit.heads.transcribe import BLANK


def naive(spec: DataSpec, data: Data, split: Split, head: Head) -> dict[str, dict[str, float]]:
    """Return the naive baselines' scores by name of baseline and score.

    They are made-up outputs that go through the head's own scores, so that both mean the same. The majority class
    predicts every class with its frequency in the training part. The empty transcript has no loss: a model sure of
    saying nothing would have an infinite one.

    Args:
        spec: Of the data.
        data: After its setup.
        split: Part to score.
        head: Whose scores they stand beside.
    """
    if isinstance(spec.targets, Classes):
        return {"majority class": _score(data, split, head, lambda batch: _majority(spec.targets.counts, batch))}
    if isinstance(spec.targets, Transcript):
        size = len(spec.targets.symbols) + 1
        scores = _score(data, split, head, lambda batch: _silence(size, batch))
        return {"empty transcript": {name: value for name, value in scores.items() if name != "loss"}}
    return {}


def _score(data: Data, split: Split, head: Head, outputs) -> dict[str, float]:
    scores, part = head.scores(), data.part(split)
    for indices in data.order(split, data.batch_size, 0, 0):
        batch = data.collate([part[index] for index in indices])
        scores.update(outputs(batch), None, batch)
    return {name: float(value) for name, value in scores.compute().items()}


def _majority(counts: tuple[int, ...], batch: Batch) -> Tensor:
    counts_C = torch.tensor(counts, dtype=torch.float64)
    return (counts_C / counts_C.sum()).log().float().expand(len(batch), -1)


def _silence(size: int, batch: Batch) -> Tensor:
    assert batch.targets is not None
    outputs_BTV = torch.full((len(batch), 2 * batch.targets.shape[1], size), -10.0)  # two steps a symbol are enough
    outputs_BTV[..., BLANK] = 0
    return outputs_BTV.log_softmax(2)

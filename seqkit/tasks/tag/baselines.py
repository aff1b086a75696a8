"""Baselines of tagging: the most frequent tag, of all steps and of each word."""

# B batch, T time

from collections import Counter, defaultdict
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import Baseline
from seqkit.tasks.tag.prediction import TagPrediction

Key = tuple[int, ...]


def baselines(tags: int, data: Any) -> dict[str, Baseline]:
    """Return the most frequent tag, and where inputs are ids the most frequent tag of each, in the training split.

    An input that the training split has not gets the most frequent tag of all.

    Args:
        tags: Number of tags.
        data: Set up.
    """
    part = data.part("train")
    counts: dict[Key, Counter[int]] = defaultdict(Counter)
    total = torch.zeros(tags, dtype=torch.int64)
    discrete = True
    for index in range(len(part)):
        batch = data.collate([part[index]])
        total += torch.bincount(batch.targets[0], minlength=tags)
        discrete = discrete and not batch.inputs.is_floating_point()
        if discrete:
            for key, tag in zip(_keys(batch.inputs[0]), batch.targets[0].tolist(), strict=True):
                counts[key][tag] += 1
    majority = int(total.argmax())
    found: dict[str, Baseline] = {"majority tag": lambda batch: _predict(batch, {}, majority)}
    if discrete:
        best = {key: min(own, key=lambda tag: (-own[tag], tag)) for key, own in counts.items()}
        found["most frequent tag per word"] = lambda batch: _predict(batch, best, majority)
    return found


def _predict(batch: Batch, best: dict[Key, int], otherwise: int) -> TagPrediction:
    shape = batch.inputs.shape[:2]
    if not best:
        return TagPrediction(torch.full(shape, otherwise, device=batch.inputs.device), batch.lengths)
    tags = [[best.get(key, otherwise) for key in _keys(row)] for row in batch.inputs]
    return TagPrediction(torch.tensor(tags, device=batch.inputs.device), batch.lengths)


def _keys(inputs_T: Tensor) -> list[Key]:
    """Return the ids of each step: of a word, or of a word and its characters."""
    return list(map(tuple, inputs_T.reshape(len(inputs_T), -1).tolist()))

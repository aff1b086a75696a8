"""A report into nowhere: answers and text, baselines, figures, sample."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch

from seqkit.contracts.batch import Split
from seqkit.evaluation import NetworkPredictor
from seqkit.network import Network
from seqkit.report.figures import png
from seqkit.report.illustrations import illustrations
from seqkit.testing.dry_run.trial import Trial

FEW = 4  # samples of a part


class _Few:
    """Data of which each part has a few samples only, so that nothing takes long however large they are."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def part(self, split: Split) -> Any:
        return _FewSamples(self._data.part(split))

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
        return [[*self._data.order(split, batch_size, seed, epoch)[0]][:FEW]]


class _FewSamples:
    def __init__(self, part: Any) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    def __len__(self) -> int:
        return min(FEW, len(self._part))

    def __getitem__(self, index: int) -> Any:
        return self._part[index]

    def __iter__(self) -> Iterator[Any]:
        return (self._part[index] for index in range(len(self)))


@torch.no_grad()
def try_report(trial: Trial, network: Network, metric: Any) -> None:
    """Make every part of a report that a plugin has a hand in, from a few samples.

    Args:
        trial: The run.
        network: In evaluation mode.
        metric: The task's, with the scores of a few samples.
    """
    data: Any = _Few(trial.data)
    task, spec = data.spec.task, data.spec
    samples = [data.part("test")[index] for index in range(len(data.part("test")))]
    batch = data.collate(samples)
    without_targets = replace(batch, targets=None, target_lengths=None)
    with trial.part("head", doing="predict, without targets,"):
        prediction = NetworkPredictor(network)(without_targets.to(trial.device))
    with trial.part("task", "head", doing="answers"):
        answers = task.answers(prediction, spec)
        json.dumps(answers)
    if hasattr(task, "text"):
        with trial.part("task", doing="text"):
            task.text(answers[0])
    if hasattr(task, "baselines") and trial.has_plugin("task", "data"):
        with trial.part("task", doing="baselines"):
            baselines = task.baselines(spec, data, "test")
        for name, baseline in baselines.items():
            if callable(baseline):
                with trial.part("task", doing=f"baseline '{name}'"):
                    own = task.metrics(spec)
                    own.update(baseline(batch), batch)
                    own.compute()

    def guard(part: str) -> AbstractContextManager[None]:
        return trial.part("task", "head", doing=part)

    figures, _ = illustrations(network, data.spec, data, metric, guard)
    for name, figure in figures.items():
        with guard(f"the figure {name}"):
            png(figure, 20)

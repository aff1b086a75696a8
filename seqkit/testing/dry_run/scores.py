"""Scores of a few samples: those that the head monitors are there, and they depend on the samples alone."""

import math
import random
from typing import Any

import numpy as np
import torch

from seqkit.contracts.batch import Split
from seqkit.errors import PluginError
from seqkit.evaluation import MODEL, Scorer, Scores, check_monitor
from seqkit.network import Network
from seqkit.testing.dry_run.trial import Trial

ROWS = 5  # of the first batch of a part
SCORED_BY = ("model", "head", "frontend", "task", "data")  # kinds that a score is made by
TOLERANCE = 1e-3  # relative; of two scores that are the same but for rounding


@torch.no_grad()
def try_scores(trial: Trial, network: Network) -> Any:
    """Score a few samples of the validation part and return the metric of the task.

    Where a part of what makes a score is a plugin, they are scored again from other random states, in smaller batches,
    and as by several ranks. A difference between batches must be there for samples of the test part too: a label that
    two classes tie for may change by rounding.
    """
    network.eval()
    samples = _samples(trial, "valid")
    scorer, whole = _scored(trial, network, [samples])
    with trial.part("head", doing="monitor"):
        check_monitor(network.head, whole)
    if trial.has_plugin(*SCORED_BY):
        _require_determinism(trial, network, samples, whole)
        if reason := _splitting_reason(trial, network, samples, whole):
            others = _samples(trial, "test")
            if _splitting_reason(trial, network, others, _scored(trial, network, [others])[1]):
                raise trial.refuse(*SCORED_BY, reason=reason)
        try:
            reason = _joining_reason(trial, network, samples, whole)
        except PluginError as refusal:  # which knows the metric, not whose it is
            reason = str(refusal)
        if reason:
            raise trial.refuse(*SCORED_BY, reason=reason)
    return scorer.metric


def _samples(trial: Trial, split: Split) -> list[Any]:
    with trial.part("data", doing=f"reading the {split} part"):
        order = trial.data.order(split, trial.data.batch_size, 0, 0)
        if not len(order):
            raise trial.refuse("data", reason=f"its {split} part has no samples")
        part: Any = trial.data.part(split)
        return [part[index] for index in order[0][:ROWS]]


def _scored(trial: Trial, network: Network, groups: list[list[Any]]) -> tuple[Scorer, Scores]:
    """Return the scores of samples that come as batches of these groups."""
    scorer = _given(trial, network, groups)
    with trial.part("task", "head", doing="compute() of the metrics"):
        return scorer, scorer.compute()[MODEL]


def _given(trial: Trial, network: Network, groups: list[list[Any]]) -> Scorer:
    with trial.part("task", "head", doing="metrics()"):
        scorer = Scorer(network, trial.data.spec)
    for samples in groups:
        with trial.part("data", doing="collate"):
            batch = trial.data.collate(samples)
        with trial.part(*SCORED_BY, doing="scoring"):
            scorer.update(batch)
    return scorer


def _require_determinism(trial: Trial, network: Network, samples: list[Any], whole: Scores) -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    _, again = _scored(trial, network, [samples])
    for name, score in whole.items():
        if not _same(score, again.get(name, math.nan)):
            raise trial.refuse(
                *SCORED_BY,
                reason=f"{name} of the same samples is {score:.6g}, then {again.get(name, math.nan):.6g}: evaluation "
                "must draw no random numbers and keep nothing from one batch to the next",
            )


def _splitting_reason(trial: Trial, network: Network, samples: list[Any], whole: Scores) -> str:
    """Return how the scores change with the batches that the samples come in, or an empty string."""
    most = len(samples) // 2 + 1  # groups of different sizes, for a mean of means
    for groups in ([samples[:most], samples[most:]], [[sample] for sample in samples]):
        _, found = _scored(trial, network, [group for group in groups if group])
        for name, score in whole.items():
            if not _same(score, found.get(name, math.nan)):
                return (
                    f"{name} of {len(samples)} samples is {score:.6g} in one batch and {found.get(name, math.nan):.6g} "
                    f"in {len(groups)}: rows must not mix, padding must not count, and a metric keeps sums and counts "
                    "that compute divides"
                )
    return ""


def _joining_reason(trial: Trial, network: Network, samples: list[Any], whole: Scores) -> str:
    """Return how the scores change where ranks score a part of the samples each, or an empty string."""
    most = len(samples) // 2 + 1
    scorers = [_given(trial, network, [group] if group else []) for group in (samples[:most], samples[most:], [])]
    with trial.part("task", "head", doing="compute() of the metrics"):
        found = scorers[0].compute_joined([scorer.share() for scorer in scorers])[MODEL]
    for name, score in whole.items():
        if not _same(score, found.get(name, math.nan)):
            return (
                f"{name} of {len(samples)} samples is {score:.6g} on one rank and {found.get(name, math.nan):.6g} over "
                "several: a metric keeps all it has in states, each made by add_state(..., dist_reduce_fx='sum')"
            )
    return ""


def _same(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=1e-6) or (math.isnan(first) and math.isnan(second))

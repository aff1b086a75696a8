"""Comparison of runs: those that can be ranked together, what differs between them, mean and spread over seeds."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from seqkit.runs.listing import Listed, Scores, finite

SAME_DATA = ("data.batch_size",)
"""Options of the data that change no score."""


@dataclass(frozen=True)
class Seeds:
    """Runs that differ in nothing but the seed.

    Attributes:
        runs: Best first; of a seed that was trained twice, both.
        scores: Validation score of each seed whose run is finished.
        test: Test scores of the same runs, where the report has them.
        repeated: Labels of runs that repeat a seed, which counts once.
    """

    runs: list[Listed]
    scores: list[float]
    test: list[float]
    repeated: list[str]

    @property
    def score(self) -> float | None:
        """Validation score by which the choice is ranked: the mean, or the best so far where no run is finished."""
        return mean(self.scores) if self.scores else self.runs[0].score


@dataclass(frozen=True)
class Comparison:
    """Runs of one task, on the same data, by the same score.

    Attributes:
        monitor: The score and its direction; None where no run has one yet.
        runs: Best validation score first, runs without one last.
    """

    monitor: tuple[str, str] | None
    runs: list[Listed]

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.runs[0].task

    @cached_property
    def options(self) -> list[str]:
        """Names of the options that differ."""
        return differing(self.runs)

    @cached_property
    def groups(self) -> list[Seeds]:
        """The runs by everything but the seed, best first."""
        found: dict[str, list[Listed]] = {}
        for run in self.runs:
            others = {key: value for key, value in run.options.items() if key != "seed"}
            found.setdefault(json.dumps(others, sort_keys=True), []).append(run)
        return sorted(map(self._seeds, found.values()), key=lambda one: rank(one.score, self.monitor))

    @property
    def baselines(self) -> dict[str, Scores]:
        """Test scores of the baselines; empty unless every finished run has the same."""
        found = [run.baselines for run in self.runs if run.state == "finished"]
        return found[0] if found and all(one == found[0] for one in found) else {}

    def _seeds(self, runs: list[Listed]) -> Seeds:
        finished: dict[Any, Listed] = {}
        repeated = []
        for run in sorted(runs, key=lambda one: one.written):
            if run.state == "finished" and run.score is not None:
                if before := finished.get(run.options.get("seed")):
                    repeated.append(before.label)
                finished[run.options.get("seed")] = run
        name = self.monitor[0] if self.monitor else ""
        scores = [run.score for run in finished.values() if run.score is not None]
        test = [run.test[name] for run in finished.values() if name in run.test]
        return Seeds(runs, scores, test, repeated)

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain JSON."""
        return {
            "task": self.task,
            "data": self.runs[0].options.get("data"),
            "monitor": self.monitor,
            "options": self.options,
            "runs": [{**run.to_json(), "options": _chosen(run, self.options)} for run in self.runs],
            "seeds": [
                {
                    "options": _chosen(group.runs[0], [name for name in self.options if name != "seed"]),
                    "runs": [str(run.run.path) for run in group.runs],
                    "valid": summary(group.scores),
                    "test": summary(group.test),
                }
                for group in self.groups
            ],
            "baselines": self.baselines,
        }


def compare(runs: Iterable[Listed]) -> list[Comparison]:
    """Return the runs in the groups within which they can be ranked, the largest group first.

    Runs are ranked together if task, monitored score, data and options of the data are the same. Other options of the
    data, a look-back say, may leave what is scored as it is: then the baselines, which see the data only, score the
    same. A run without a record of these, and so without a score, joins the first group with its options of the data.
    """
    ranked: dict[str, list[Listed]] = {}
    others: list[Listed] = []
    for run in runs:
        if not (run.monitor and run.fingerprint):
            others.append(run)
            continue
        same = [run.task, run.monitor, run.fingerprint]
        marks = [json.dumps([*same, mark], sort_keys=True) for mark in (_data(run), run.baselines) if mark]
        found = [ranked[mark] for mark in marks if mark in ranked]
        group = found[0] if found else []
        for other in found[1:]:
            if other is not group:
                group += other
                ranked |= {mark: group for mark, own in ranked.items() if own is other}
        group.append(run)
        ranked |= dict.fromkeys(marks, group)
    groups = list({id(group): group for group in ranked.values()}.values())
    for run in others:
        fitting = [group for group in groups if any(_data(run) == _data(other) for other in group)]
        if fitting:
            fitting[0].append(run)
        else:
            groups.append([run])
    return sorted(map(_comparison, groups), key=lambda one: -len(one.runs))


def _comparison(runs: list[Listed]) -> Comparison:
    monitor = next((run.monitor for run in runs if run.monitor), None)
    return Comparison(monitor, sorted(runs, key=lambda one: (rank(one.score, monitor), str(one.run.path))))


def _data(run: Listed) -> dict[str, Any]:
    return {
        key: value
        for key, value in run.options.items()
        if key == "data" or (key.startswith("data.") and key not in SAME_DATA)
    }


def differing(runs: list[Listed]) -> list[str]:
    """Return the options of which two runs have different values; one that only some models have is not among them."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run.options.items():
            values.setdefault(name, set()).add(json.dumps(value, sort_keys=True))
    return [name for name, own in values.items() if len(own) > 1]


def rank(score: float | None, monitor: tuple[str, str] | None) -> tuple[bool, float]:
    """Return a key that sorts the best score first and a missing one last."""
    if score is None or monitor is None:
        return True, 0.0
    return False, score if monitor[1] == "min" else -score


def mean(values: list[float]) -> float | None:
    """Return the mean; None of no values."""
    return statistics.fmean(values) if values else None


def deviation(values: list[float]) -> float | None:
    """Return the sample standard deviation; None below two values, or where one is infinite."""
    return statistics.stdev(values) if len(values) > 1 and all(finite(one) is not None for one in values) else None


def summary(values: list[float]) -> dict[str, Any]:
    """Return count, mean, sample standard deviation, minimum and maximum."""
    return {
        "n": len(values),
        "mean": finite(mean(values)),
        "std": deviation(values),
        "min": finite(min(values, default=None)),
        "max": finite(max(values, default=None)),
    }


def _chosen(run: Listed, names: list[str]) -> dict[str, Any]:
    return {name: run.options[name] for name in names if name in run.options}

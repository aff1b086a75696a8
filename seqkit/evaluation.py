"""The one loop that scores: validation, ``evaluate``, the report and every baseline."""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from seqkit.contracts.batch import Batch, Split, State
from seqkit.contracts.components import Data
from seqkit.contracts.spec import Baseline, DataSpec, Predictor
from seqkit.data.loading import evaluation_loader
from seqkit.errors import one_line
from seqkit.network import Network, carry, float32_eval

LOG = logging.getLogger("seqkit")
DIGITS = 6
MODEL = "model"

Scores = dict[str, float]


def rounded(value: float) -> float:
    """Return ``value`` to six significant digits.

    Sums are exact over any batching, but a float32 matrix product may differ in its eighth digit with the number
    of its rows; further digits would not be the same on every batch size.
    """
    return float(f"{float(value):.{DIGITS}g}")


class NetworkPredictor:
    """Predictions of a network for one batch after another, state carried where the data are streams."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.device = next(network.parameters()).device
        self._state: State | None = None

    def __call__(self, batch: Batch) -> Any:
        with float32_eval(self.device):
            start = carry(self._state, batch, self.network.model)
            outputs, lengths_B, state = self.network(batch, start)
            self._state = None if batch.fresh_B is None else state
            return self.network.head.predict(outputs, lengths_B, batch)


class Scorer:
    """Scores of a network and of baselines, over the batches of one split.

    Args:
        network: Its device is used for it; baselines run on the CPU.
        spec: Of the data.
        baselines: Beside it, by name.
    """

    def __init__(self, network: Network, spec: DataSpec, baselines: Mapping[str, Baseline] | None = None) -> None:
        self.predictor = NetworkPredictor(network)
        self.metric: Any = spec.task.metrics(spec).to(self.predictor.device)
        own = getattr(network.head, "metrics", None)
        self._own: Any = own().to(self.predictor.device) if own else None
        self._finished = {name: value for name, value in (baselines or {}).items() if isinstance(value, dict)}
        running: dict[str, Predictor] = {
            name: value for name, value in (baselines or {}).items() if not isinstance(value, dict)
        }
        self._running = {name: (predict, spec.task.metrics(spec)) for name, predict in running.items()}

    def update(self, batch: Batch) -> None:
        """Predict for a batch and add the scores."""
        with float32_eval(self.predictor.device):
            for name, (predict, metric) in list(self._running.items()):
                with self._left_out_if_it_fails(name):
                    metric.update(predict(batch), batch)
            there = batch.to(self.predictor.device)
            prediction = self.predictor(there)
            self.metric.update(prediction, there)
            if self._own is not None:
                self._own.update(prediction, there)

    @contextmanager
    def _left_out_if_it_fails(self, name: str) -> Iterator[None]:
        """Turn a fault of a baseline, a plugin's, into a warning: it must not cost the network its scores."""
        try:
            yield
        except Exception as error:
            _warn_of_baseline(name, error)
            self._running.pop(name)

    def compute(self) -> dict[str, Scores]:
        """Return the scores by predictor and metric; the network's are those of ``model``."""
        own = self._own.compute() if self._own is not None else {}
        found: dict[str, Any] = {MODEL: {**self.metric.compute(), **own}, **self._finished}
        for name, (_, metric) in list(self._running.items()):
            with self._left_out_if_it_fails(name):
                found[name] = metric.compute()
        return {name: _finite(scores) if name != MODEL else _floats(scores) for name, scores in found.items()}


def _floats(scores: Mapping[str, Any]) -> Scores:
    return {name: float(value) for name, value in scores.items()}


def _finite(scores: Mapping[str, Any]) -> Scores:
    """Return the finite scores: a baseline without probabilities has no loss, one sure of a miss an infinite one."""
    return {name: value for name, value in _floats(scores).items() if math.isfinite(value)}


def _warn_of_baseline(name: str, error: Exception) -> None:
    reason = one_line(error)
    LOG.warning("baseline '%s' fails and is left out: %s: %s", name, type(error).__name__, reason)


@dataclass(frozen=True)
class Evaluation:
    """Scores by predictor and metric, to six significant digits, and the network's metric that they come from."""

    scores: dict[str, Scores]
    metric: Any

    @property
    def model(self) -> Scores:
        """The network's scores."""
        return self.scores[MODEL]

    @property
    def baselines(self) -> dict[str, Scores]:
        """The scores of every baseline."""
        return {name: scores for name, scores in self.scores.items() if name != MODEL}


@torch.no_grad()
def evaluate(
    network: Network, spec: DataSpec, data: Data, split: Split, batch_size: int, baselines: bool = True
) -> Evaluation:
    """Score a network, and baselines beside it, over every sample of ``split`` exactly once.

    Args:
        network: Is put into evaluation mode.
        spec: Of the data.
        data: Set up.
        split: "train", "valid" or "test".
        batch_size: Samples or streams side by side; does not change the scores.
        baselines: Whether to score the task's baselines too.
    """
    network.eval()
    beside: dict[str, Baseline] = {}
    if baselines and hasattr(spec.task, "baselines"):
        try:
            beside = spec.task.baselines(spec, data, split)
        except Exception as error:
            _warn_of_baseline("all", error)
    scorer = Scorer(network, spec, beside)
    for batch in evaluation_loader(data, split, batch_size):
        scorer.update(batch)
    scores = scorer.compute()
    return Evaluation(
        {name: {score: rounded(value) for score, value in own.items()} for name, own in scores.items()}, scorer.metric
    )

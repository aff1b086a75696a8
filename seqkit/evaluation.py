"""The one loop that scores: validation, ``evaluate``, the report and every baseline."""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from seqkit.contracts.batch import Batch, Split, State
from seqkit.contracts.components import Data
from seqkit.contracts.returned import kind_of
from seqkit.contracts.spec import Baseline, DataSpec, Predictor
from seqkit.data.loading import evaluation_loader
from seqkit.errors import ConfigError, PluginError
from seqkit.faults import said
from seqkit.joining import States, beside_states, join, only_where_asked, refuse_undeclared, states
from seqkit.network import Network, carry
from seqkit.precision import float32_eval
from seqkit.ranks import group

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
            self._state = state if batch.fresh_B is not None and batch.counts else None
            return self.network.head.predict(outputs, lengths_B, batch)


@dataclass(frozen=True)
class Share:
    """What one rank has to add to the scores of all.

    Attributes:
        states: Of every metric, by what it measures.
        failed: Why metrics and baselines were left out, by the same.
    """

    states: dict[str, States]
    failed: dict[str, str]


class Scorer:
    """Scores of a network and of baselines, over the batches of one split.

    Args:
        network: Its device is used for it; baselines run on the CPU.
        spec: Of the data.
        baselines: Beside it, by name; one that fails is left out with a warning.
        forgiving: Whether to leave out metrics of the network that fail too.

    Attributes:
        failed: Why something was left out, by what it is.

    Raises:
        PluginError: The task's or the head's metric is none, or its scores are no numbers by name.
    """

    def __init__(
        self,
        network: Network,
        spec: DataSpec,
        baselines: Mapping[str, Baseline] | None = None,
        forgiving: bool = False,
        asked: DataSpec | None = None,
    ) -> None:
        only_where_asked()
        self.predictor = NetworkPredictor(network)
        self.over_time = spec.task.over_time(asked or spec) if hasattr(spec.task, "over_time") else None
        self.forgiving = forgiving
        self.failed: dict[str, str] = {}
        self.metric: Any = _metric(spec.task, spec).to(self.predictor.device)
        self._metrics: dict[str, Any] = {"the metric of the task": self.metric}
        self._owners: dict[str, Any] = {"the metric of the task": spec.task, "the metric of the head": network.head}
        if hasattr(network.head, "metrics"):
            self._metrics["the metric of the head"] = _metric(network.head).to(self.predictor.device)
        self._finished = {name: value for name, value in (baselines or {}).items() if isinstance(value, dict)}
        running: dict[str, Predictor] = {
            name: value for name, value in (baselines or {}).items() if not isinstance(value, dict)
        }
        self._running = {f"baseline '{name}'": (name, predict) for name, predict in running.items()}
        self._metrics |= {part: spec.task.metrics(spec) for part in self._running}
        shared = group().size > 1
        self._beside = {part: beside_states(metric) for part, metric in self._metrics.items()} if shared else {}

    def walk(self, batch: Batch) -> None:
        """Predict for a batch that is not scored, where predictions depend on those before."""
        if self.over_time is None:
            return
        with float32_eval(self.predictor.device):
            there = batch.to(self.predictor.device)
            self.over_time(self.predictor(there), there)
            for part, (_, predict) in self._running.items():
                with self._left_out_if_it_fails(part):
                    predict(batch)

    def update(self, batch: Batch) -> None:
        """Predict for a batch and add the scores, unless its rows are those of another rank."""
        with float32_eval(self.predictor.device):
            there = batch.to(self.predictor.device)
            prediction = self.predictor(there)
            if self.over_time:
                prediction = self.over_time(prediction, there)
            for part, metric in list(self._metrics.items()) if batch.counts else ():
                with self._left_out_if_it_fails(part):
                    if part in self._running:
                        metric.update(self._running[part][1](batch), batch)
                    else:
                        metric.update(prediction, there)

    def leave_out(self, part: str, reason: str, rank: int | None = None) -> None:
        """Leave out a part that has failed, here or on another rank, with a warning."""
        self._metrics.pop(part, None)
        if part not in self.failed:
            self.failed[part] = reason
            place = "" if rank is None else f" on rank {rank}"
            LOG.warning("%s fails%s and is left out: %s", part, place, reason)

    @contextmanager
    def _left_out_if_it_fails(self, part: str) -> Iterator[None]:
        """Leave out a baseline that fails, or a metric of the network where that is forgiven."""
        try:
            yield
        except Exception as error:
            if part not in self._running and not self.forgiving:
                raise
            self.leave_out(part, said(error))

    def compute(self) -> dict[str, Scores]:
        """Return the scores of the batches given here, by predictor and metric; the network's are those of ``model``.

        The other ranks are not asked.
        """
        scores: dict[str, Scores] = {MODEL: {}, **{name: _finite(value) for name, value in self._finished.items()}}
        for part, metric in list(self._metrics.items()):
            with self._left_out_if_it_fails(part):
                if part in self._running:
                    scores[self._running[part][0]] = _finite(metric.compute())
                else:
                    scores[MODEL] |= _floats(metric.compute(), self._owners[part])
        return scores

    def compute_over_ranks(self) -> dict[str, Scores]:
        """Return the scores of the batches given to all ranks, the same on each; each rank has to ask for them.

        The metrics of rank 0 then hold all samples. What has failed on one rank is left out on all.
        """
        ranks = group()
        if ranks.size == 1:
            return self.compute()
        for part, metric in list(self._metrics.items()):
            with self._left_out_if_it_fails(part):
                refuse_undeclared(metric, self._beside[part])
        shares = ranks.gather(self.share())

        def joined() -> dict[str, Scores]:
            return self.compute_joined(shares) if ranks.first else {}

        return ranks.broadcast(ranks.do(joined) if self.forgiving else joined())

    def share(self) -> Share:
        """Return what the batches given here add to the scores."""
        return Share({part: states(metric) for part, metric in self._metrics.items()}, self.failed)

    def compute_joined(self, shares: Sequence[Share]) -> dict[str, Scores]:
        """Return the scores of all shares together, this one's among them, which the metrics here then hold."""
        for rank, share in enumerate(shares):
            for part, reason in share.failed.items():
                self.leave_out(part, reason, rank)
        for part, metric in list(self._metrics.items()):
            with self._left_out_if_it_fails(part):
                if not all(part in share.states for share in shares):
                    raise PluginError("not every rank has it")
                join(metric, [share.states[part] for share in shares])
        return self.compute()


def check_monitor(head: Any, scores: Scores) -> None:
    """Refuse a head whose ``monitor`` is not the name of a score and its direction.

    Args:
        head: Of the network.
        scores: The network's.

    Raises:
        ConfigError: It would decide nothing, or for the worst checkpoint.
    """
    monitor = getattr(head, "monitor", None)
    if not (isinstance(monitor, tuple) and len(monitor) == 2 and monitor[0] in scores and monitor[1] in ("min", "max")):
        known = ", ".join(sorted(scores))
        raise ConfigError(
            f"{type(head).__name__}.monitor is {monitor!r}: expected (METRIC, 'min' or 'max'), METRIC one of {known}"
        )


def _metric(owner: Any, *arguments: Any) -> Any:
    """Return the metric of a task or head; refuses what is none."""
    from torchmetrics import Metric

    metric = owner.metrics(*arguments)
    if not isinstance(metric, Metric):
        raise PluginError(
            f"{type(owner).__name__}.metrics returned {kind_of(metric)}; it must return a torchmetrics.Metric, which "
            "can be moved to a device and joined over several"
        )
    return metric


def _floats(scores: Any, owner: Any) -> Scores:
    """Return the scores that a metric computed as numbers; refuses, by the name of its task or head, what is none."""
    due = "it must return a dict from the name of a score to its number"
    computed = f"the metric of {type(owner).__name__}: compute returned"
    if not isinstance(scores, Mapping):
        raise PluginError(f"{computed} {kind_of(scores)}; {due}")
    found = {}
    for name, value in scores.items():
        try:
            found[name] = float(value)
        except (TypeError, ValueError, RuntimeError):
            raise PluginError(f"{computed} {kind_of(value)} as {name!r}; {due}") from None
    return found


def _finite(scores: Mapping[str, Any]) -> Scores:
    """Return the finite scores: a baseline without probabilities has no loss, one sure of a miss an infinite one."""
    return {name: float(value) for name, value in scores.items() if math.isfinite(value)}


@dataclass(frozen=True)
class Evaluation:
    """Scores of a split.

    Attributes:
        scores: By predictor and metric, to six significant digits.
        metric: The network's, that its scores come from.
        missing: Baselines and metrics that failed, in words.
    """

    scores: dict[str, Scores]
    metric: Any
    missing: list[str]

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
    network: Network,
    spec: DataSpec,
    data: Data,
    split: Split,
    batch_size: int,
    baselines: bool | Mapping[str, Baseline] = True,
    forgiving: bool = False,
    before: Iterable[Batch] = (),
) -> Evaluation:
    """Score a network, and baselines beside it, over every sample of ``split`` exactly once.

    Args:
        network: Is put into evaluation mode.
        spec: Of the data.
        data: Set up.
        split: "train", "valid" or "test".
        batch_size: Samples or streams side by side; does not change the scores.
        baselines: Whether to score the task's baselines too; or those to score.
        forgiving: Whether to leave out metrics of the network that fail; baselines that fail always are.
        before: Batches in the order of time that are not scored, for predictions that depend on those before.
    """
    network.eval()
    only_where_asked()

    def scored() -> Scorer:
        beside = {} if isinstance(baselines, bool) else baselines
        fault = ""
        if baselines is True and hasattr(spec.task, "baselines"):
            try:
                beside = spec.task.baselines(spec, data, split)
            except Exception as error:
                fault = said(error)
        scorer = Scorer(network, spec, beside, forgiving, data.spec)
        if fault:
            scorer.leave_out("every baseline", fault)
        for batch in before if scorer.over_time is not None and group().first else ():
            scorer.walk(batch)
        whole = scorer.over_time is not None  # each prediction depends on those before: rank 0 makes them all
        for batch in evaluation_loader(data, split, batch_size, shared=not whole) if group().first or not whole else ():
            scorer.update(batch)
        return scorer

    scorer = group().do(scored) if forgiving else scored()
    scores = scorer.compute_over_ranks()
    return Evaluation(
        {name: {score: rounded(value) for score, value in own.items()} for name, own in scores.items()},
        scorer.metric,
        list(scorer.failed),
    )


@torch.no_grad()
def calibrated(network: Network, spec: DataSpec, data: Data) -> DataSpec:
    """Return the spec with its task calibrated by the network's predictions; as it is where the task has no need.

    Rank 0 does it for all; where it fails, the spec is returned as it is, with a warning.
    """
    if not hasattr(spec.task, "calibrated"):
        return spec
    ranks = group()

    def found() -> Any:
        network.eval()
        predictor = NetworkPredictor(network)
        try:
            options = getattr(network.head, "calibration", {})
            return spec.task.calibrated(
                spec, data, lambda batch: on_cpu(predictor(batch.to(predictor.device))), **options
            )
        except Exception as error:
            LOG.warning("the predictions are not calibrated: %s", said(error))
            return spec.task

    return replace(spec, task=ranks.broadcast(found() if ranks.first else None))


def on_cpu(prediction: Any) -> Any:
    """Return a prediction with its tensors on the CPU."""
    moved = {name: value.cpu() for name, value in vars(prediction).items() if isinstance(value, torch.Tensor)}
    return type(prediction)(**{**vars(prediction), **moved})

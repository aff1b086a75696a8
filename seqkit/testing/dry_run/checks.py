"""The cheap checks of the conformance suite, on the very components of a run."""

from copy import deepcopy
from typing import Any

from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.network import Network
from seqkit.testing.check import outcomes
from seqkit.testing.data import DataSubject
from seqkit.testing.dry_run.trial import Trial
from seqkit.testing.line import suite
from seqkit.testing.models.subject import ModelSubject
from seqkit.testing.predicting import PredictionSubject

DATA = ("data",)
ENDS = ("head", "task")
BY_NAME = ("optimizer", "scheduler")


def check_data(trial: Trial) -> None:
    """Refuse a data set that fails a cheap check."""
    _require(trial, "data", DataSubject(get=lambda: trial.data))


def check_components(trial: Trial, network: Network, batch: Batch) -> None:
    """Refuse the first plugin of the network and its training that fails a cheap check."""
    x_BTI = network.frontend(batch.inputs, batch.lengths)[0].detach()

    def inputs(rows: int, steps: int) -> Tensor:
        return x_BTI[:rows, :steps]

    subjects: dict[str, Any] = {
        "model": ModelSubject(lambda: deepcopy(network.model), inputs, trial.blamed("model"), trial.config["model"]),
        "head": PredictionSubject(lambda: trial.data, lambda _: network, trial.blamed("head")),
        "task": PredictionSubject(lambda: trial.data, lambda _: network, trial.blamed("task")),
    }
    for kind in ("optimizer", "scheduler"):
        subjects[kind] = suite(kind, trial.config)[0]
    for kind, subject in subjects.items():
        _require(trial, kind, subject)


def _require(trial: Trial, kind: str, subject: Any) -> None:
    for outcome in outcomes(subject, (kind,), cheap=True) if kind in trial.plugins else ():
        if not outcome.passed:
            raise trial.refuse(kind, reason=f"{outcome.check.sentence}: {outcome.reason}")

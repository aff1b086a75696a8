"""The cheap checks of the conformance suite, on the very components of a run."""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.network import Network
from seqkit.precision import float32_eval
from seqkit.testing.check import cheap_outcomes
from seqkit.testing.dry_run.trial import Trial
from seqkit.testing.line import SUITES, suite

KINDS = ("frontend", "model", "task", "head", "optimizer", "scheduler")


def check_data(trial: Trial, network: Network, batch: Batch) -> None:
    """Refuse a data set that fails a cheap check."""
    from seqkit.testing.data import DataSubject

    network.eval()
    subject = DataSubject(get=lambda: trial.data, get_network=lambda _: network, quick=True)
    _require(trial, "data", subject, batch)


def check_components(trial: Trial, network: Network, batch: Batch) -> None:
    """Refuse the first plugin of the network and its training that fails a cheap check."""
    for kind in KINDS:
        if kind in trial.plugins:
            _require(trial, kind, _subject(trial, kind, network, batch), batch)


def _subject(trial: Trial, kind: str, network: Network, batch: Batch) -> Any:
    """Return the subject of the checks of a kind; they compute with the network itself, which may be large."""
    if kind == "model":
        from seqkit.testing.models.subject import ModelSubject

        with torch.no_grad():
            x_BTI = network.frontend(batch.inputs, batch.lengths)[0].nan_to_num()

        def inputs(rows: int, steps: int) -> Tensor:
            return x_BTI[:rows, :steps]

        return ModelSubject(lambda: network.model, inputs, trial.plugins[kind])
    if kind == "frontend":
        from seqkit.testing.frontends import FrontendSubject

        return FrontendSubject(
            make=lambda: network.frontend,
            inputs=lambda rows, steps: batch.inputs[:rows, :steps],
            where=trial.plugins[kind],
            steps=trial.data.spec.inputs.example_steps,
        )
    if kind in ("head", "task"):
        from seqkit.testing.predicting import PredictionSubject

        return PredictionSubject(lambda: trial.data, lambda _: network, trial.plugins[kind])
    if kind == "scheduler":
        from seqkit.testing.schedulers import SchedulerSubject

        return SchedulerSubject(trial.config[kind], (trial.total_steps,))
    return suite(kind, trial.config)[0]


def _require(trial: Trial, kind: str, subject: Any, batch: Batch) -> None:
    import_module(f"seqkit.testing.{SUITES[kind]}")  # defines the checks
    with float32_eval(trial.device):
        for outcome in cheap_outcomes(subject, kind, streams=batch.fresh_B is not None):
            if not outcome.passed:
                raise trial.refuse(kind, reason=f"{outcome.check.sentence}: {outcome.reason}") from outcome.error

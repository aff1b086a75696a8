"""The cheap checks of the conformance suite, on the very components of a run."""

from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from seqkit.contracts.batch import Batch
from seqkit.network import Network, assemble
from seqkit.registry import build
from seqkit.testing.check import outcomes
from seqkit.testing.dry_run.trial import Trial
from seqkit.testing.line import SUITES, suite

KINDS = ("frontend", "model", "task", "head", "optimizer", "scheduler")


def check_data(trial: Trial) -> None:
    """Refuse a data set that fails a cheap check."""
    from seqkit.testing.data import DataSubject

    _require(trial, "data", DataSubject(get=lambda: trial.data))


def check_components(trial: Trial, network: Network, batch: Batch) -> None:
    """Refuse the first plugin of the network and its training that fails a cheap check."""
    for kind in KINDS:
        if kind in trial.plugins:
            _require(trial, kind, _subject(trial, kind, network, batch))


def _subject(trial: Trial, kind: str, network: Network, batch: Batch) -> Any:
    if kind == "model":
        from seqkit.testing.models.subject import ModelSubject

        with torch.no_grad():
            x_BTI = network.frontend(batch.inputs, batch.lengths)[0]

        def inputs(rows: int, steps: int) -> Tensor:
            return x_BTI[:rows, :steps]

        make = _copies(network.model, lambda: build("model", trial.config["model"], network.frontend.output_size))
        return ModelSubject(make, inputs, trial.plugins[kind], trial.config[kind])
    if kind == "frontend":
        from seqkit.testing.frontends import FrontendSubject

        return FrontendSubject(
            make=_copies(network.frontend, lambda: assemble(trial.config, trial.data.spec).frontend),
            inputs=lambda rows, steps: batch.inputs[:rows, :steps],
            where=trial.plugins[kind],
            steps=trial.data.spec.inputs.example_steps,
        )
    if kind in ("head", "task"):
        from seqkit.testing.predicting import PredictionSubject

        return PredictionSubject(lambda: trial.data, lambda _: network, trial.plugins[kind])
    return suite(kind, trial.config)[0]


def _copies(module: Any, build_another: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that copies a module, or builds another where it cannot be copied."""
    try:
        deepcopy(module)
    except Exception:
        return build_another
    return lambda: deepcopy(module)


def _require(trial: Trial, kind: str, subject: Any) -> None:
    import_module(f"seqkit.testing.{SUITES[kind]}")  # defines the checks
    for outcome in outcomes(subject, (kind,), cheap=True):
        if not outcome.passed:
            raise trial.refuse(kind, reason=f"{outcome.check.sentence}: {outcome.reason}") from outcome.error

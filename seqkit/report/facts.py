"""A finished run's report: ``report.json`` with the facts, ``report.md`` with the same for a person, and figures."""

import json
import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import torch

import seqkit
from seqkit.config import Config, config_hash
from seqkit.contracts.components import Data
from seqkit.contracts.spec import Results
from seqkit.errors import one_line
from seqkit.evaluation import Evaluation, NetworkPredictor, evaluate
from seqkit.files import write_atomic
from seqkit.network import Network
from seqkit.report.figures import learning_curves, save
from seqkit.report.markdown import markdown
from seqkit.runs.folder import RunFolder

LOG = logging.getLogger("seqkit")
LIBRARIES = ("torch", "lightning", "hydra-core", "torchmetrics", "numpy")
EXAMPLES = 4  # samples of the test split that figures show


def write_report(
    folder: RunFolder, config: Config, network: Network, data: Data, times: dict[str, Any]
) -> dict[str, Any]:
    """Score the network, draw its figures, write the report and return its facts.

    Args:
        folder: Of the run.
        config: Of the run.
        network: With its best weights, on the device to score on.
        data: Set up.
        times: Of the training: seconds, step of the best checkpoint.
    """
    monitor = list(network.head.monitor)
    test = evaluate(network, data.spec, data, "test", data.batch_size)
    valid = evaluate(network, data.spec, data, "valid", data.batch_size, baselines=False)
    figures, sample = _illustrate(folder, network, data, test, monitor[0])
    facts: dict[str, Any] = {
        "name": config["name"],
        "run": str(folder.path),
        "test": test.model,
        "valid": valid.model,
        "baselines": test.baselines,
        "monitor": monitor,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "backends": backends_in_words(network.model),
        **times,
        "data": {"name": config["data"]["name"], "sha256": data.fingerprint, **data.facts},
        "device": str(next(network.parameters()).device),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {"seqkit": seqkit.__version__, **{name: version(name) for name in LIBRARIES}},
        "config_hash": config_hash(config),
        "config": config,
        "figures": figures,
        "sample": sample,
    }
    write_atomic(folder.report_json, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    write_atomic(folder.report_md, markdown(facts))
    return facts


def _illustrate(
    folder: RunFolder, network: Network, data: Data, evaluation: Evaluation, monitor: str
) -> tuple[list[str], str]:
    """Draw the figures of a run; return their file names and a text sample. Each that fails is a warning."""
    task: Any = data.spec.task
    names: list[str] = []
    sample = ""

    def draw(figures: dict[str, Any]) -> None:
        for name, figure in figures.items():
            save(figure, folder.path / f"{name}.png")
            names.append(f"{name}.png")

    with _warning_of("the learning curves"):
        draw({"learning_curves": learning_curves(folder.metrics_csv, monitor)})
    if hasattr(task, "figures") or hasattr(task, "sample"):
        with _warning_of("examples"):
            batch, prediction = _examples(network, data)
            results = Results(data.spec, network, evaluation.metric, batch, prediction)
            with _warning_of("the figures of the task"):
                draw((task.figures(results) if hasattr(task, "figures") else None) or {})
            with _warning_of("a sample"):
                sample = (task.sample(results) if hasattr(task, "sample") else None) or ""
    return names, sample


@contextmanager
def _warning_of(part: str) -> Iterator[None]:
    """Turn a failure into a warning: after the training, no picture may cost the report."""
    try:
        yield
    except Exception as error:
        LOG.warning("the report is without %s: %s: %s", part, type(error).__name__, one_line(error))


@torch.no_grad()
def _examples(network: Network, data: Data) -> tuple[Any, Any]:
    """Return a few test samples, spread evenly over the split, as one batch, and the prediction for them."""
    part: Any = data.part("test")
    count = min(EXAMPLES, len(part))
    batch = data.collate([part[int(place)] for place in torch.linspace(0, len(part) - 1, count)])
    predictor = NetworkPredictor(network)
    prediction = predictor(batch.to(predictor.device))
    on_cpu = {name: value.cpu() for name, value in vars(prediction).items() if isinstance(value, torch.Tensor)}
    return batch, type(prediction)(**{**vars(prediction), **on_cpu})


def backends_in_words(model: Any) -> dict[str, str]:
    """Return the backend that trains each layer and why, for even and, where they differ, for padded batches."""
    if not hasattr(model, "backends"):
        return {}
    found = {}
    every = (model.backends(padded=padded, training=True) for padded in (False, True))
    for even, padded in zip(*every, strict=True):
        found[f"layer {even.layer}"] = f"{even.name}: {even.reason}"
        if padded.name != even.name:
            found[f"layer {padded.layer}, padded batches"] = f"{padded.name}: {padded.reason}"
    return found

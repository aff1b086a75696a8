"""A finished run's report: ``report.json`` with the facts, ``report.md`` with the same for a person, and figures."""

import json
import logging
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from typing import Any

import seqkit
from seqkit.config import Config, config_hash
from seqkit.contracts.components import Data
from seqkit.contracts.spec import DataSpec
from seqkit.evaluation import MODEL, Evaluation, evaluate
from seqkit.faults import said
from seqkit.files import DISK, write_atomic
from seqkit.network import Network
from seqkit.ranks import group
from seqkit.report.figures import learning_curves, save
from seqkit.report.illustrations import illustrations
from seqkit.report.markdown import markdown
from seqkit.report.text import csv_text
from seqkit.runs.folder import RunFolder

LOG = logging.getLogger("seqkit")
LIBRARIES = ("torch", "lightning", "hydra-core", "torchmetrics", "numpy")


def write_report(
    folder: RunFolder, config: Config, network: Network, spec: DataSpec, data: Data, training: dict[str, Any]
) -> dict[str, Any]:
    """Score the network, draw its figures, write the report and return its facts; only rank 0 does more than score.

    Args:
        folder: Of the run.
        config: Of the run.
        network: With its best weights, on the device to score on.
        spec: Of the data, that the network was built for.
        data: Set up.
        training: Its seconds, the step of the best checkpoint, whose weights it started from.
    """
    left_out: list[str] = []

    def guard(part: str) -> AbstractContextManager[None]:
        return without(part, left_out)

    test = valid = Evaluation({MODEL: {}}, None, [])
    with guard("the test scores"):
        test = evaluate(network, spec, data, "test", data.batch_size, forgiving=True)
    with guard("the validation scores"):
        valid = evaluate(network, spec, data, "valid", data.batch_size, baselines=False, forgiving=True)
    if not group().first:
        return {}
    monitor = list(network.head.monitor)
    names = []
    with guard("the learning curves"):
        curves = learning_curves(folder.metrics_csv, monitor[0], training.get("best_step"))
        save(curves, folder.path / "learning_curves.png")
        names.append("learning_curves.png")
    figures, sample = illustrations(network, spec, data, test.metric, guard)
    for name, figure in figures.items():
        with guard(f"the figure {name}"):
            save(figure, folder.path / f"{name}.png")
            names.append(f"{name}.png")
    tables: list[str] = []
    with guard("the tables"):
        for name, columns in (spec.task.tables(test.metric) if hasattr(spec.task, "tables") else {}).items():
            write_atomic(folder.path / f"{name}.csv", csv_text(columns))
            tables.append(f"{name}.csv")
    backends: dict[str, str] = {}
    with guard("the backends"):
        backends = backends_in_words(network.model)
    facts: dict[str, Any] = {
        "name": config["name"],
        "run": str(folder.path),
        "test": test.model,
        "valid": valid.model,
        "baselines": test.baselines,
        "monitor": monitor,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "backends": backends,
        **training,
        "data": {"name": config["data"]["name"], "sha256": data.fingerprint, **data.facts},
        "device": str(next(network.parameters()).device),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {"seqkit": seqkit.__version__, **{name: version(name) for name in LIBRARIES}},
        "config_hash": config_hash(config),
        "config": config,
        "history": folder.history,
        "figures": names,
        "tables": tables,
        "sample": sample,
        "missing": list(dict.fromkeys([*test.missing, *valid.missing, *left_out])),
    }
    write_atomic(folder.report_json, json.dumps(facts, indent=2, ensure_ascii=False, default=str) + "\n")
    with guard(folder.report_md.name):
        write_atomic(folder.report_md, markdown(facts))
    return facts


@contextmanager
def without(part: str, left_out: list[str]) -> Iterator[None]:
    """Turn a failure into a warning and note it: after the training, nothing may cost the rest of the report.

    A disk that cannot be written is no such failure.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK:
            raise
        LOG.warning("the report is without %s: %s", part, said(error))
        left_out.append(part)


def backends_in_words(model: Any) -> dict[str, str]:
    """Return the backend that trains each layer and why, and where they differ or were measured, of other calls.

    The others are those of padded batches and of evaluation.
    """
    if not hasattr(model, "backends"):
        return {}
    found = {}
    calls = {", padded batches": (True, True), ", evaluation": (False, False), ", evaluation of padded": (True, False)}
    others = {name: model.backends(padded=padded, training=training) for name, (padded, training) in calls.items()}
    for number, usual in enumerate(model.backends(padded=False, training=True)):
        found[f"layer {usual.layer}"] = f"{usual.name}: {usual.reason}"
        for name, choices in others.items():
            if choices[number].name != usual.name or choices[number].measured:
                found[f"layer {usual.layer}{name}"] = f"{choices[number].name}: {choices[number].reason}"
    return found

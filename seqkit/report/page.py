"""A finished run's report: ``report.json`` with the facts, ``report.md`` with the same for a person."""

import json
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import seqkit
from seqkit.config import Config, config_hash
from seqkit.contracts import Data
from seqkit.errors import shown
from seqkit.files import write_atomic
from seqkit.inference.evaluate import evaluate
from seqkit.network import Network

LIBRARIES = ("torch", "lightning", "hydra-core", "torchmetrics", "numpy")


def write_report(folder: Path, config: Config, network: Network, data: Data, times: dict[str, Any]) -> dict[str, Any]:
    """Score the network, draw its pictures, write the report and return its facts.

    Args:
        folder: Of the run.
        config: Of the run.
        network: With its best weights, on the device to score on.
        data: Set up.
        times: What the training says of itself: seconds, step of the best checkpoint.
    """
    from seqkit.report.baselines import naive
    from seqkit.report.pictures import draw_learning_curves, show_task

    device = next(network.parameters()).device
    head = network.head
    network.eval()
    facts: dict[str, Any] = {
        "name": config["name"],
        "run": str(folder),
        "test": evaluate(network, data, "test", data.batch_size),
        "valid": evaluate(network, data, "valid", data.batch_size),
        "baselines": naive(data.spec, data, "test", head),
        "monitor": list(head.monitor),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "loops": loops_in_words(network.model),
        **times,
        "data": {"name": config["data"]["name"], "sha256": data.fingerprint, **data.facts},
        "device": str(device),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {"seqkit": seqkit.__version__, **{name: version(name) for name in LIBRARIES}},
        "config_hash": config_hash(config),
        "config": config,
    }
    draw_learning_curves(folder / "metrics.csv", folder / "learning_curves.png", head.monitor[0])
    task = show_task(folder, network, data)
    facts["pictures"] = ["learning_curves.png", *task.pictures]
    facts["sample"] = task.sample
    write_atomic(folder / "report.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    write_atomic(folder / "report.md", _markdown(facts))
    return facts


def loops_in_words(model: Any) -> dict[str, str]:
    """Return which loop trains each layer of a model and why, for even and, where they differ, for padded batches."""
    if not hasattr(model, "loops"):
        return {}
    found = {}
    every = (model.loops(padded=padded, training=True) for padded in (False, True))
    for even, padded in zip(*every, strict=True):
        found[f"layer {even.layer}"] = f"{even.name}: {even.why}"
        if padded.name != even.name:
            found[f"layer {padded.layer}, padded batches"] = f"{padded.name}: {padded.why}"
    return found


def terminal_summary(report: dict[str, Any]) -> str:
    """Return what is printed at the end of a run: scores beside the naive ones, a sample, the path."""
    parts = [score_table({"model": report["test"], **report["baselines"]}, "test")]
    if report["sample"]:
        parts.append(f"sample:\n{_indented(report['sample'])}")
    parts.append(f"run: {shown(Path(report['run']))}  (report.md, {', '.join(report['pictures'])})")
    return "\n\n".join(parts)


def score_table(scores: dict[str, dict[str, float]], split: str) -> str:
    """Return a text table, one line a predictor, one column a score."""
    columns = _columns(scores.values())
    return _table([split, *columns], [{split: name, **_numbers(row, columns)} for name, row in scores.items()])


def sweep_table(reports: list[dict[str, Any]]) -> str:
    """Return a text table over the jobs of a sweep: what each changed, its test scores, its run.

    Where the jobs differ in their seed, a second table gives the mean and the standard deviation over the seeds.
    """
    changed = _changed([report["overrides"] for report in reports])
    columns = _columns(report["test"] for report in reports)
    rows = []
    for report in reports:
        words = _words(report["overrides"])
        end = {"trained": f"{report['training_seconds']:.0f} s", "run": Path(report["run"]).name}
        rows.append({**words, **_numbers(report["test"], columns), **end})
    same = all(report["baselines"] == reports[0]["baselines"] for report in reports)
    for name, scores in reports[0]["baselines"].items() if same else ():
        rows.append({changed[0]: name, **_numbers(scores, columns)})
    table = _table([*changed, *columns, "trained", "run"], rows)
    return f"{table}\n\n{_over_seeds(reports, changed, columns)}" if "seed" in changed else table


def _over_seeds(reports: list[dict[str, Any]], changed: list[str], columns: list[str]) -> str:
    """Return a text table of the scores over the seeds, one line for each choice of everything else."""
    others = [key for key in changed if key != "seed"]
    groups: dict[tuple[str, ...], list[dict[str, float]]] = {}
    for report in reports:
        words = _words(report["overrides"])
        groups.setdefault(tuple(words.get(key, "") for key in others), []).append(report["test"])
    rows = []
    for choice, scores in groups.items():
        spreads = {name: _spread([score[name] for score in scores if name in score]) for name in columns}
        rows.append({**dict(zip(others, choice, strict=True)), "seeds": str(len(scores)), **spreads})
    return f"mean +- standard deviation over seeds\n{_table([*others, 'seeds', *columns], rows)}"


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return _number(values[0] if values else None)
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return f"{_number(mean)} +- {_number(variance**0.5)}"


def _columns(scores: Iterable[dict[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for row in scores for name in row))


def _numbers(scores: dict[str, float], columns: list[str]) -> dict[str, str]:
    return {name: _number(scores.get(name)) for name in columns}


def _words(overrides: list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (override.partition("=") for override in overrides)}


def _changed(jobs: list[list[str]]) -> list[str]:
    """Return the keys whose values differ between jobs."""
    words = [_words(job) for job in jobs]
    keys = dict.fromkeys(key for job in words for key in job)
    return [key for key in keys if len({job.get(key) for job in words}) > 1] or list(keys)[:1]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3e}"


def _table(header: list[str], rows: list[dict[str, str]]) -> str:
    cells = [header, *([row.get(name, "") for name in header] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _markdown(facts: dict[str, Any]) -> str:
    scores = {"model": facts["test"], **facts["baselines"]}
    columns = _columns(scores.values())
    parts = [
        f"# {facts['name']}",
        f"Test part, model `{facts['config']['model']['name']}` of {facts['parameters']:,} parameters beside naive "
        f"predictions. Best validation at step {facts['best_step']:,}; {facts['training_seconds']} s of training.",
        _markdown_table(
            ["", *columns], [[name, *(_number(row.get(c)) for c in columns)] for name, row in scores.items()]
        ),
        *(f"![{Path(picture).stem}]({picture})" for picture in facts["pictures"]),
    ]
    if facts["sample"]:
        parts.append(f"## Sample\n\n{_indented(facts['sample'])}")
    rows = [
        ["validation", ", ".join(f"{name} {_number(value)}" for name, value in facts["valid"].items())],
        *([f"data: {name}", str(value)] for name, value in facts["data"].items()),
        *([where, why] for where, why in facts["loops"].items()),
        ["config hash", facts["config_hash"]],
        ["device", facts["device"]],
        ["machine", facts["machine"]],
        ["versions", ", ".join(f"{name} {number}" for name, number in facts["versions"].items())],
    ]
    parts.append(f"## Facts\n\n{_markdown_table(['', ''], rows)}")
    parts.append(f"## Config\n\n```json\n{json.dumps(facts['config'], indent=2)}\n```")
    return "\n\n".join(parts) + "\n"


def _markdown_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)

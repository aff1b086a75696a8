"""Folders of runs as training writes them, without training."""

import json
from pathlib import Path
from typing import Any

from seqkit.config import config_hash
from seqkit.runs.folder import RunFolder

MONITOR = ("accuracy", "max")


def write_run(
    label: str,
    scores: dict[int, float],
    *,
    test: float | None = None,
    seed: int = 1,
    monitor: tuple[str, str] = MONITOR,
    fingerprint: str = "f" * 64,
    baseline: float = 0.5,
    checkpoint: bool = True,
    task: str = "classify",
    **options: Any,
) -> Path:
    """Write ``runs/NAME/ID``; a run with a test score is finished.

    Args:
        label: NAME/ID.
        scores: Validation score by optimizer step.
        options: Of the config, ``model__hidden_size=3``.
    """
    config: dict[str, Any] = {
        "name": label.partition("/")[0],
        "id": label.partition("/")[2],
        "seed": seed,
        "runs": "runs",
        "data": {"name": "timing", "length": 9, "batch_size": 8},
        "model": {"name": "lstm", "hidden_size": 4},
        "trainer": {"name": "lightning", "max_steps": 100},
        "logger": None,
    }
    for name, value in options.items():
        kind, _, option = name.partition("__")
        config[kind] = {**config[kind], option: value}
    run = RunFolder(Path("runs") / label)
    run.checkpoints.mkdir(parents=True)
    record = {
        "hash": config_hash(config),
        "folder": str(Path.cwd()),
        "components": {f"task={task}": {}},
        "config": config,
        "scored": {"monitor": list(monitor), "data": fingerprint},
    }
    run.config_json.write_text(json.dumps(record))
    lines = [f"{step},{name},{value}\n" for step, value in scores.items()
             for name in (f"valid/{monitor[0]}", "valid/loss")]  # fmt: skip
    run.metrics_csv.write_text("step,metric,value\n" + "".join(lines))
    run.train_log.write_text("started\n")
    if checkpoint:
        run.last.write_bytes(b"not to be read")
    if test is not None:
        best = (max if monitor[1] == "max" else min)(scores, key=scores.__getitem__)
        report = {
            "config_hash": record["hash"],
            "monitor": list(monitor),
            "valid": {monitor[0]: scores[best]},
            "test": {monitor[0]: test},
            "best_step": best,
            "baselines": {"majority class": {monitor[0]: baseline}},
            "data": {"sha256": fingerprint},
        }
        run.report_json.write_text(json.dumps(report))
    return run.path

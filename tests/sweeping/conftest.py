import json
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from seqkit import experiment
from seqkit.runs.folder import RunFolder

TEST = {"mse": 0.5}
SMALL = ["data=adding", "trainer.accelerator=cpu", "trainer.max_steps=1", "id=s"]


class Trainings:
    """Stands for ``experiment.train``: leaves a report whose score is ``score(config)``."""

    def __init__(self):
        self.configs, self.score = [], lambda config: 0.25

    def __call__(self, config, fresh=False, exact=False, changed_code=False):
        self.configs.append(config)
        score = self.score(config)
        folder = Path(config["runs"]) / config["name"] / config["id"]
        folder.mkdir(parents=True, exist_ok=True)
        report = {
            "monitor": ["mse", "min"], "valid": {"mse": score}, "test": TEST, "baselines": {"mean": TEST}, "sample": "",
            "training_seconds": 1.0, "run": str(folder), "figures": [], "config": config,
        }  # fmt: skip
        RunFolder(folder).report_json.write_text(json.dumps(report))
        return report

    def take(self):
        """Return the ids trained since the last time."""
        ids = [config["id"] for config in self.configs]
        self.configs.clear()
        return ids


@pytest.fixture
def trainings(monkeypatch):
    """Return what stands for the training of every job in this process."""
    stand_in = Trainings()
    monkeypatch.setattr(experiment, "train", stand_in)
    # Which composes every job once more; what it refuses is tested with the real one.
    monkeypatch.setattr(BasicSweeper, "validate_batch_is_legal", lambda self, batch: None)
    return stand_in


def ledger(path="runs/sweeps/s"):
    return json.loads(Path(path, "sweep.json").read_text())


def states(path="runs/sweeps/s"):
    return [job["state"] for job in ledger(path)["jobs"]]

import copy
import itertools
import json
from pathlib import Path

import pytest

from seqkit import experiment
from seqkit.commands import train
from seqkit.config import check
from seqkit.hydra_cli import compose
from seqkit.runs.folder import RunFolder
from seqkit.sweeping.runners import Here

TEST = {"mse": 0.5}
SMALL = ["data=adding", "trainer.accelerator=cpu", "trainer.max_steps=1", "id=s"]


class Trainings:
    """Stands for ``experiment.train``: leaves a report whose score is ``score(config)``."""

    def __init__(self):
        self.configs, self.score = [], lambda config: 0.25

    def __call__(self, config, fresh=False, exact=False, changed_code=False):
        self.configs.append(config)
        score = self.score(config)
        run = RunFolder(Path(config["runs"]) / config["name"] / config["id"])
        run.path.mkdir(parents=True, exist_ok=True)
        run.write_config(config)
        report = {
            "monitor": ["mse", "min"], "valid": {"mse": score}, "test": TEST, "baselines": {"mean": TEST}, "sample": "",
            "training_seconds": 1.0, "run": str(run.path), "figures": [], "config": config,
        }  # fmt: skip
        run.report_json.write_text(json.dumps(report))
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
    return stand_in


@pytest.fixture(scope="session")
def small():
    """Return a config, composed once."""
    return compose(SMALL[:-1])


@pytest.fixture
def _no_hydra(monkeypatch, small):
    """Let ``seqkit train -m`` expand ``KEY=A,B`` itself: Hydra composes a job nine times slower than all else takes."""

    def config_of(number, overrides):
        config = copy.deepcopy(small)
        for word in overrides[1:]:
            key, _, value = word.partition("=")
            *path, name = key.split(".")
            where = config[path[0]] if path else config
            where[name] = int(value) if value.lstrip("-").isdigit() else value
        return check(config)

    def hydra_main(words, job, sweep):
        typed = [word.partition("=")[::2] for word in words if "=" in word]
        sweep.open("runs", dict(typed).get("id"))
        choices = itertools.product(*([f"{key}={value}" for value in values.split(",")] for key, values in typed))
        sweep.run([(number, list(words)) for number, words in enumerate(choices)], config_of, Here())

    monkeypatch.setattr(train, "hydra_main", hydra_main)


def ledger(path="runs/sweeps/s"):
    return json.loads(Path(path, "sweep.json").read_text())


def states(path="runs/sweeps/s"):
    return [job["state"] for job in ledger(path)["jobs"]]

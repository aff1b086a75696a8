"""Jobs of a SLURM that is brought up for these tests, and what a job leaves behind."""

import fcntl
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.slurm import cluster

BIN = Path(sys.executable).parent
SLOW = Path(__file__).with_name("slow.py")
SMALL = [
    "data=slow_adding", "data.length=6", "data.train_size=32", "data.valid_size=8", "data.test_size=8",
    "data.batch_size=8", "model.hidden_size=8", "trainer.accelerator=cpu", "trainer.val_check_interval=1000",
    "trainer.log_every_n_steps=1", "trainer.dry_run=false", "name=slow",
]  # fmt: skip
TRAIN = f"{BIN}/seqkit --plugin slow.py train {' '.join(SMALL)}"
PATIENCE = 600.0


@pytest.fixture(scope="module")
def slurm(request):
    """Bring up as many nodes as the module says, for its tests; there is one cluster at a time on a machine."""
    with cluster.FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            environment = cluster.up(request.module.NODES)
        except cluster.Unavailable as reason:
            pytest.skip(f"no SLURM here: {reason}")
        yield environment
        cluster.down()


@dataclass
class Job:
    """A job of SLURM: its number, or that of its array and the task, and where it was submitted."""

    number: str
    environment: dict[str, str]
    folder: Path

    def ask(self, *command: str) -> str:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True).stdout.strip()

    @property
    def log(self) -> Path:
        return self.folder / f"{self.number}.out"

    @property
    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "slow" / f"slurm-{self.number.replace('_', '-')}"

    @property
    def state(self) -> str:
        found = re.search(r"JobState=(\w+)", self.ask("scontrol", "show", "job", self.number))
        return found[1] if found else ""

    @property
    def step(self) -> int:
        """The last step whose metrics are written."""
        file = self.run / "metrics.csv"
        lines = file.read_text().splitlines()[1:] if file.exists() else []
        return int(lines[-1].partition(",")[0]) if lines else 0

    def wait_for_step(self, step: int) -> None:
        def reached():
            self.refuse_failure()
            return self.step >= step

        cluster.wait(reached, f"step {step} of job {self.number}", PATIENCE)

    def wait_for(self, text: str, times: int = 1) -> None:
        def said():
            self.refuse_failure()
            return self.output.count(text) >= times

        cluster.wait(said, f"'{text}' of job {self.number}, which says: {self.output}", PATIENCE)

    def wait_for_end(self, state: str = "COMPLETED") -> None:
        ended = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
        cluster.wait(lambda: self.state in ended, f"the end of job {self.number}: {self.output}", PATIENCE)
        assert self.state == state, self.output

    def refuse_failure(self) -> None:
        assert self.state not in ("FAILED", "TIMEOUT", "NODE_FAIL", "CANCELLED"), self.output

    def preempt(self) -> None:
        self.ask("scancel", "--signal=USR1", self.number)


@pytest.fixture
def submit(slurm, tmp_path):
    """Return a function that submits a script, with options of sbatch, and the seconds per batch of each rank."""
    jobs = []
    shutil.copy(SLOW, tmp_path)  # alone, so that a change of other tests is no change of the plugin's code

    def submit(*options: str, command: str = f"srun {TRAIN}", steps: int = 40, slow: str = "0.3") -> Job:
        script = tmp_path / "job.sh"
        script.write_text(f"#!/bin/bash\n{command} trainer.max_steps={steps}\n")
        environment = {**slurm, "SLOW": slow, "OMP_NUM_THREADS": "1"}
        array = any(option.startswith("--array") for option in options)
        output = "%A_%a.out" if array else "%j.out"
        words = ["sbatch", "--parsable", "--requeue", "--open-mode=append", f"--output={output}", *options, str(script)]
        number = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        jobs.append(Job(number.strip(), environment, tmp_path))
        return jobs[-1]

    yield submit
    for job in jobs:
        job.ask("scancel", job.number)


@pytest.fixture
def weights_of_whole_run(tmp_path):
    """Return a function that trains without a stop and returns the weights."""

    def train(*overrides: str) -> dict[str, torch.Tensor]:
        words = [*TRAIN.split(), "id=whole", *overrides]
        subprocess.run(words, cwd=tmp_path, env={**cluster.environment(), "OMP_NUM_THREADS": "1"}, check=True)
        return weights(tmp_path / "runs" / "slow" / "whole")

    return train


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    assert found.keys() == expected.keys()
    return all(torch.equal(found[name], expected[name]) for name in expected)

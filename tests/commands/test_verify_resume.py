"""verify-resume tells a training that goes on exactly from one that does not, and says where it differs."""

import json
from pathlib import Path

import pytest

from seqkit.__main__ import run
from tests.conftest import TINY

FORGETFUL = '''
import torch

import seqkit


@seqkit.register_optimizer("forgetful")
class Forgetful(torch.optim.SGD):
    """Gradient descent by smaller and smaller steps, whose number is not in its state."""

    def __init__(self, parameters, *, lr: float = 0.1) -> None:
        super().__init__(parameters, lr=lr)
        self.count = 0

    @torch.no_grad()
    def step(self, closure=None):
        loss = super().step(closure)
        self.count += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(1 - 0.1 / self.count)
        return loss
'''


def test_a_training_that_forgets_something_is_found(capfd, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Path("forgetful.py").write_text(FORGETFUL)
    words = [*TINY, "optimizer=forgetful", "trainer.dry_run=false", "--plugin", "forgetful.py"]
    points = "data;SIGTERM@step=3;step=400"
    code = run(["verify-resume", *words, "runs=elsewhere", "--steps", "6", "--points", points, "--no-report", "--json"])
    out, err = capfd.readouterr()
    outcome = json.loads(out)
    assert (code, outcome["equal"], outcome["tried"]) == (1, False, 2)
    outcomes = {point.pop("point"): point for point in outcome["points"]}
    assert outcomes["SIGKILL@step=400"]["reached"] is False
    untouched = outcomes["SIGKILL@data"]
    assert (untouched["ended"], untouched["step"], untouched["difference"]) == ("SIGKILL", None, "")
    differing = outcomes["SIGTERM@step=3"]
    assert differing["step"] == 3
    assert differing["ended"].startswith("exit code ")
    assert differing["difference"].startswith("last.ckpt: state_dict['network.model.layers.0.0.weight_ih']: ")
    assert outcome["whole_runs_differ"] == ""  # it is the resume, not the training
    (kept,) = Path("elsewhere").glob(".verify-*")
    assert str(kept) in err
    assert (kept / "02" / "tiny" / "run" / "config.json").exists()
    assert not (kept / "01").exists()  # what is equal is removed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["trainer.num_workers=2", "trainer.accumulate_grad_batches=2"], 14),
        (["trainer.devices=2", "--points", "before=4;step=7,rank=1;SIGUSR1@validation=4"], 3),
    ],
)
def test_moments_of_a_training(options, count, capfd):
    assert run(["verify-resume", *TINY, "model.dropout=0.3", *options]) == 0
    out, _ = capfd.readouterr()
    assert f"{count} of {count} tried: all bit-equal" in out
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-m", "model=lstm,gru"], "no flag -m"),
        (["--points", "step=1", "--kills", "2"], "--points says the moments and --kills draws them"),
        (["--points", "stp=1"], "no moment of SEQKIT_INTERRUPT 'stp'. Did you mean 'step'?"),
        (["--signals", "SIGKIL"], "no signal of SEQKIT_INTERRUPT 'SIGKIL'. Did you mean 'SIGKILL'?"),
        (["--steps", "0"], "--steps 0: give at least 1"),
        (["trainer.num_nodes=2"], "verify-resume runs on one node"),
        (["model=lsmt"], "no model 'lsmt'. Did you mean 'lstm'?"),
    ],
)
def test_refusals(words, reason, capsys):
    assert run(["verify-resume", *words]) == 1
    assert reason in capsys.readouterr().err
    assert not Path("runs").exists()


def test_it_starts_its_ranks_itself(capsys, monkeypatch):
    for name, value in {"STEP_NUM_TASKS": "2", "PROCID": "1", "LOCALID": "1", "NODEID": "0", "STEP_NUM_NODES": "1",
                        "STEP_TASKS_PER_NODE": "2", "JOB_ID": "7", "STEP_ID": "0", "STEP_NODELIST": "a"}.items():  # fmt: skip
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert run(["verify-resume"]) == 1
    assert "run it once on one node of the allocation, not by srun" in capsys.readouterr().err

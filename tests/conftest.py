"""What every test shares: one thread, an empty current folder, small real data."""

from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """Run each test in an empty folder, on one thread, away from the user's accounts."""
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shared():
    """Return the folder of development data sets; skip where there is none."""
    if not SHARED.is_dir():
        pytest.skip("the development data sets are not on this machine")
    return SHARED

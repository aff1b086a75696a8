"""What every test shares: one thread, an empty current folder."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)

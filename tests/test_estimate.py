"""What cannot fit into memory is refused before the first step, with both figures."""

import re

import pytest
import torch

from seqkit import estimate
from seqkit.errors import ConfigError
from seqkit.hydra_cli import compose
from seqkit.ranks import Group, Place
from seqkit.registry import build

CPU = torch.device("cpu")


def refusal(*overrides) -> str:
    config = compose(["experiment=adding", *overrides])
    data = build("data", config["data"])
    data.setup()
    with pytest.raises(ConfigError) as caught:
        estimate.refuse_if_too_large(config, data, CPU)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hidden_size=1000000", r"a model of [\d,]+ parameters needs 64 TB of memory in training; .+ are there"),
        ("model.hidden_size=1" + 18 * "0", "a model of this size has more parameters than can be counted"),
        ("data.train_size=1" + 13 * "0", r"a training part of 10,000,000,000,000 samples needs 80 TB .+ are there"),
        ("trainer.num_workers=100000", r"trainer.num_workers=100000 needs 5 TB of memory or more; .+ are there"),
    ],
)
def test_too_large_on_any_machine(override, message):
    assert re.match(message, refusal(override))


def test_large_batches(monkeypatch):
    monkeypatch.setattr(estimate, "available_bytes", lambda device=None: 10**9)
    line = refusal("data.batch_size=100000", "data.train_size=100000")
    assert line.startswith("data.batch_size=100000: batches of 100,000 samples need about ")
    assert line.endswith("of memory in training; 1 GB are there. Make data.batch_size smaller")


def test_each_rank_has_its_share(monkeypatch):
    monkeypatch.setattr(estimate, "available_bytes", lambda device=None: 4 * 10**9)
    monkeypatch.setattr(estimate, "group", lambda: Group(Place(size=4, local_size=2)))
    line = refusal("data.batch_size=100000", "data.train_size=100000")
    assert line.startswith("data.batch_size=100000: batches of 25,000 samples need about ")
    assert "in each of 4 ranks; 2 GB are there" in line
    assert "needs 64 TB of memory in training in each of 4 ranks" in refusal("model.hidden_size=1000000")
    assert "needs 16 TB of memory" in refusal("model.hidden_size=1000000", "trainer.strategy=fsdp")


def test_the_presets_fit_into_two_gigabytes(monkeypatch):
    monkeypatch.setattr(estimate, "available_bytes", lambda device=None: 2 * 10**9)
    for name in ("adding", "timing", "morse", "sea_temperature", "python_source"):
        config = compose([f"experiment={name}"])
        data = build("data", config["data"])
        data.setup()
        estimate.refuse_if_too_large(config, data, CPU)
        assert estimate.on_meta(config, data) is not None


def test_the_memory_of_this_machine_is_found():
    assert 10**7 < estimate.available_bytes() < 10**15


def test_the_limit_of_a_control_group_counts(monkeypatch, tmp_path):
    (tmp_path / "none").write_text("max\n")
    (tmp_path / "limit").write_text("50000000\n")
    places = [tmp_path / "none", tmp_path / "limit", tmp_path / "missing"]
    monkeypatch.setattr(estimate, "_control_group_limits", lambda: places)
    assert estimate.available_bytes() == 50_000_000

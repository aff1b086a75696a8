"""Loggers: the CSV file over resumes, wandb without a key, TensorBoard."""

from pathlib import Path

import pytest

from seqkit.__main__ import run
from seqkit.errors import ConfigError
from seqkit.registry import build
from seqkit.runs.metrics_csv import MetricsWriter, read_metrics

TINY = [
    "data=adding", "data.length=6", "data.train_size=32", "data.valid_size=8", "data.test_size=8", "data.batch_size=8",
    "model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=4", "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1", "id=a",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_account(monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)


def test_csv_drops_what_will_be_written_again():
    path = Path("metrics.csv")
    first = MetricsWriter(path, keep=-1)
    for step in (1, 2, 3):
        first.log_metrics({"train/loss": step / 7}, step)
    with path.open("a") as file:
        file.write("4,train/lo")  # what a kill leaves
    MetricsWriter(path, keep=2).log_metrics({"train/loss": 0.5}, 3)
    assert read_metrics(path) == [(1, "train/loss", 1 / 7), (2, "train/loss", 2 / 7), (3, "train/loss", 0.5)]


def test_wandb_without_a_key_logs_offline_and_asks_nothing(capfd):
    assert run(["train", *TINY, "logger=wandb"]) == 0
    assert "wandb: no API key, so logging offline; later: wandb sync" in capfd.readouterr().err
    [place] = Path("runs/adding/a/wandb").glob("offline-run-*-adding-a")  # the run's own id
    assert next(place.glob("*.wandb")).stat().st_size > 1000
    assert {file.name.split("_1_")[0].split("_")[0] for file in place.rglob("*.png")} == {"forecast", "learning"}


def test_wandb_online_needs_a_key():
    with pytest.raises(
        ConfigError, match="logger.mode=online needs an API key: run `wandb login` or set WANDB_API_KEY"
    ):
        build("logger", {"name": "wandb", "mode": "online"}, Path(), {"name": "x"})


def test_tensorboard():
    assert run(["train", *TINY, "logger=tensorboard"]) == 0
    assert list(Path("runs/adding/a/tensorboard").glob("events.out.tfevents.*"))

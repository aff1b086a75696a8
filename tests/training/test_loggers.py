"""Loggers: the CSV file over resumes, wandb without a key, TensorBoard."""

import re
from pathlib import Path

import pytest

import seqkit
from seqkit import registry
from seqkit.__main__ import run
from seqkit.errors import ConfigError, PluginError
from seqkit.registry import build
from seqkit.runs.folder import RunFolder
from seqkit.runs.metrics_csv import MetricsWriter, read_metrics
from seqkit.training import loggers as the_loggers
from seqkit.training.loggers import Loggers, wait_until_written

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


def test_wandb_without_a_key_logs_offline_and_asks_nothing(capfd):
    assert run(["train", *TINY, "logger=wandb"]) == 0
    assert "wandb: no API key, so logging offline; later: wandb sync" in capfd.readouterr().err
    [place] = Path("runs/adding/a/wandb").glob("offline-run-*-adding-a")  # the run's own id
    [file] = place.glob("*.wandb")  # publish has waited for it
    assert file.stat().st_size > 1000
    assert {file.name.split("_1_")[0].split("_")[0] for file in place.rglob("*.png")} == {"forecast", "learning"}


def test_wandb_online_needs_a_key():
    with pytest.raises(
        ConfigError, match="logger.mode=online needs an API key: run `wandb login` or set WANDB_API_KEY"
    ):
        build("logger", {"name": "wandb", "mode": "online"}, Path(), {"name": "x"})


def test_tensorboard():
    assert run(["train", *TINY, "logger=tensorboard"]) == 0
    assert list(Path("runs/adding/a/tensorboard").glob("events.out.tfevents.*"))


def test_a_resumed_offline_run_starts_with_the_metrics_up_to_the_checkpoint(halfway):
    writer = MetricsWriter(halfway / "metrics.csv", keep=3)

    class Replaying:
        replays = True

        def __init__(self) -> None:
            self.rows = []

        def log_metrics(self, metrics, step) -> None:
            self.rows += [(step, name, value) for name, value in metrics.items()]

    logger = Replaying()
    loggers = Loggers(writer, logger)
    assert logger.rows == writer.kept
    assert {step for step, _, _ in logger.rows} == {1, 2, 3}
    loggers.log_metrics({"train/loss": 0.25}, 4)
    assert logger.rows == read_metrics(halfway / "metrics.csv")


def test_waits_for_a_file_that_another_process_still_writes(monkeypatch):
    path = Path("run.wandb")
    path.write_bytes(bytes(7))
    sizes = [*[7] * 30, *range(8, 50), *[50] * 30, *range(101, 8000, 200), 7999]

    class Elsewhere:
        """Another process, which writes while this one waits."""

        def wait(self, seconds: float) -> None:
            if sizes:
                path.write_bytes(bytes(sizes.pop(0)))

    monkeypatch.setattr(the_loggers, "Event", Elsewhere)
    wait_until_written([path], seconds=30)
    assert path.stat().st_size == 7999


def test_waits_no_longer_than_it_should():
    Path("run.wandb").write_bytes(bytes(7))
    wait_until_written([Path("run.wandb")], seconds=0.05)


def test_a_failure_while_publishing_is_one_line(monkeypatch, capsys):
    def broken(*_):
        raise BrokenPipeError("service is gone")

    monkeypatch.setattr(the_loggers.TensorBoard, "publish", broken)
    assert run(["train", *TINY, "logger=tensorboard"]) == 0
    [line] = [line for line in capsys.readouterr().err.splitlines() if "dropped" in line]
    assert line.startswith("TensorBoard failed and is dropped (BrokenPipeError: service is gone, ")
    assert re.search(r"test_loggers\.py:\d+\); metrics\.csv goes on$", line)


class Appending:
    """A logger with all that one may have."""

    def __init__(self) -> None:
        self.calls: list = []

    def log_metrics(self, metrics, step) -> None:
        self.calls.append((step, sorted(metrics)))

    def resume(self, step) -> None:
        self.calls.append(("resume", step))

    def publish(self, report, figures, checkpoint) -> None:
        self.calls.append(("publish", report["best_step"], [figure.is_file() for figure in figures], checkpoint.name))

    def finalize(self, status) -> None:
        self.calls.append(status)


def test_a_resumed_run_tells_the_logger_the_step_after_which_all_comes_again(halfway):
    logger = Appending()
    loggers = Loggers(MetricsWriter(halfway / "metrics.csv", keep=3), logger, step=3)
    loggers.log_metrics({"train/loss": 0.25}, 4)
    loggers.close()
    assert logger.calls == [("resume", 3), (4, ["train/loss"]), "success"]


def test_a_logger_of_a_plugin_is_given_the_scores_and_the_files_of_the_figures(finished):
    logger = Appending()
    loggers = Loggers(MetricsWriter(finished / "metrics.csv", keep=9), logger)
    run = RunFolder(finished)
    loggers.publish(run, run.read_report())
    step = run.read_report()["best_step"]
    assert logger.calls == [(step, ["test/mae", "test/mse"]), ("publish", step, [True, True], "best.ckpt")]


def test_a_logger_without_log_metrics_is_refused(monkeypatch):
    found = dict(registry._components["logger"])
    monkeypatch.setitem(registry._components, "logger", found)
    with pytest.raises(PluginError, match="logger 'silent' lacks log_metrics"):
        registry.register_logger("silent")(type("Silent", (), {}))

    @registry.register_logger("mute")
    def mute(folder, config):
        return object()

    with pytest.raises(PluginError, match=r"logger=mute: object has no log_metrics\(metrics, step\)"):
        seqkit.train([*TINY, "logger=mute"])

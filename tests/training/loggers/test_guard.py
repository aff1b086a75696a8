"""Loggers: replays, failures, what a logger is given."""

import re

import pytest

import seqkit
from seqkit import registry
from seqkit.__main__ import run
from seqkit.errors import PluginError
from seqkit.runs.folder import RunFolder
from seqkit.runs.metrics_csv import MetricsWriter, read_metrics
from seqkit.training.loggers import Loggers, TensorBoard

TINY = [
    "data=adding", "data.length=6", "data.train_size=32", "data.valid_size=8", "data.test_size=8", "data.batch_size=8",
    "model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=4", "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1", "id=a",
]  # fmt: skip


def test_a_logger_that_replays_starts_with_the_metrics_up_to_the_checkpoint(halfway):
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


def test_a_failure_while_publishing_is_one_line(monkeypatch, capsys):
    def broken(*_):
        raise BrokenPipeError("service is gone")

    monkeypatch.setattr(TensorBoard, "publish", broken)
    assert run(["train", *TINY, "logger=tensorboard"]) == 0
    [line] = [line for line in capsys.readouterr().err.splitlines() if "dropped" in line]
    assert line.startswith("TensorBoard failed and is dropped (BrokenPipeError: service is gone, ")
    assert re.search(r"test_guard\.py:\d+\); metrics\.csv goes on$", line)


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
    scores = ["coverage_90", "crps", "mae", "mse", "pinball", "rmse", "smape", "width_90"]
    assert logger.calls == [
        (step, [f"test/{name}" for name in scores]),
        ("publish", step, [True, True], "best.ckpt"),
    ]


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

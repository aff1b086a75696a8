"""TensorBoard: a run is one curve over its starts."""

from pathlib import Path

import pytest

from seqkit.__main__ import run
from seqkit.registry import build
from tests.conftest import TINY


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = accumulators.EventAccumulator(str(folder))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(name)]


def test_metrics_scores_and_figures_are_there():
    assert run(["train", *TINY, "id=a", "logger=tensorboard"]) == 0
    folder = Path("runs/tiny/a/tensorboard")
    assert [step for step, _ in curve(folder, "train/loss")] == [1, 2, 3, 4, 5, 6]
    assert len(curve(folder, "test/mse")) == 1


@pytest.mark.parametrize("checkpoint", [3, None])
def test_a_killed_run_that_goes_on_is_one_curve(checkpoint, monkeypatch):
    files = pytest.importorskip("tensorboard.summary.writer.event_file_writer")

    def start(steps, value):
        # Files are read by the order of their names: second, host, process, and a counter that begins anew in each.
        monkeypatch.setattr(files, "_global_uid", files.AtomicCounter(steps.stop))
        logger = build("logger", {"name": "tensorboard"}, Path(), {})
        if steps.start > 1:
            logger.resume(steps.start - 1)
        for step in steps:
            logger.log_metrics({"loss": value}, step)
        logger._writer.flush()

    first = (checkpoint or 0) + 1
    start(range(1, 6), 0.5)
    start(range(first, 8), 0.25)
    assert curve(Path("tensorboard"), "loss") == [(step, 0.5 if step < first else 0.25) for step in range(1, 8)]

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

import seqkit
from seqkit.runs.folder import RunFolder
from seqkit.stopping import StopRequest
from seqkit.training.callbacks import Checkpoints, ProgressBar
from seqkit.training.module import SequenceModule
from tests.conftest import TINY


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_handlers_from_before_the_training_are_there_after_it(number):
    calls = []
    before = signal.signal(number, lambda *_: calls.append(1))
    try:
        mine = signal.getsignal(number)
        seqkit.train([*TINY, "trainer.max_steps=2", "id=a"])
        assert signal.getsignal(number) is mine
        os.kill(os.getpid(), number)
        assert calls == [1]
    finally:
        signal.signal(number, before)


class Recorder:
    """Stands for a Trainer: remembers which checkpoints are saved."""

    global_step, should_stop = 0, False

    def __init__(self) -> None:
        self.saved: list[str] = []

    def save_checkpoint(self, path) -> None:
        self.saved.append(path.name)


class Judged(SequenceModule):
    validation_is_due = True


def validated(scores, direction="max", callback=None, due=True):
    """Return after which validations best.ckpt is saved, for (score, loss) of each, and how long is waited."""
    trainer = Recorder()
    callback = callback or Checkpoints(RunFolder(Path("x")), 10, None, None, StopRequest())
    better = []
    for number, (score, loss) in enumerate(scores):
        module = Judged.__new__(Judged)
        head = SimpleNamespace(monitor=("accuracy", direction))
        module.__dict__.update(network=SimpleNamespace(head=head), latest={"accuracy": score, "loss": loss})
        module.__dict__["validation_is_due"] = due
        before = trainer.saved.count("best.ckpt")
        callback.on_validation_end(trainer, module)
        better += [number] * (trainer.saved.count("best.ckpt") > before)
    return better, callback.waited


def test_of_equal_scores_the_lower_loss_is_best():
    assert validated([(0.5, 0.7), (0.5, 0.6), (0.5, 0.65), (0.6, 0.9), (0.6, 0.9)]) == ([0, 1, 3], 1)
    assert validated([(0.5, 0.7), (0.4, 0.8), (0.4, 0.8), (0.6, 0.1)], "min") == ([0, 1], 2)


def test_a_validation_that_is_not_due_counts_for_the_best_but_not_for_patience():
    callbacks = [Checkpoints(RunFolder(Path("x")), 10, None, 3, StopRequest()) for _ in range(2)]
    lengthened, resumed = callbacks
    assert validated([(4.0, None)], "min", lengthened) == ([0], 0)
    assert validated([(1.0, None)], "min", lengthened, due=False) == ([0], 0)
    resumed.load_state_dict(lengthened.state_dict())
    for callback in callbacks:
        assert validated([(2.0, None), (2.5, None)], "min", callback) == ([], 1)
        assert callback.best == 1.0
    older = {name: value for name, value in lengthened.state_dict().items() if name != "bar"}
    resumed.load_state_dict(older)
    assert validated([(1.5, None)], "min", resumed) == ([], 2)


def test_without_a_terminal_a_line_at_least_every_15_seconds(capsys):
    now = [0.0]
    bar = ProgressBar(1000, clock=lambda: now[0])
    trainer = SimpleNamespace(global_step=0)
    bar.on_train_start(trainer, None)
    for second in range(1, 61):
        now[0], trainer.global_step = float(second), second * 2
        if second < 40:
            bar.on_train_batch_end(trainer, None, None, None, 0)
        else:
            bar.on_validation_batch_end(trainer)
    assert capsys.readouterr().err.splitlines() == [
        "step 30/1000  15 s  2 steps/s",
        "step 60/1000  30 s  2 steps/s",
        "step 90/1000  45 s  validating",
        "step 120/1000  60 s  validating",
    ]

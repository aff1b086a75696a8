"""Averaged weights: what they are, who reads them, and that training goes on as without."""

from pathlib import Path

import pytest
import torch

import seqkit
from seqkit.errors import ConfigError
from seqkit.experiment import resume
from seqkit.runs.checkpoint import AVERAGED, Checkpoint
from seqkit.training.averaging import NonMonotone, decaying, even_from
from seqkit.training.module import SequenceModule
from tests.conftest import TINY
from tests.training.test_lengthening import killed_at

WORDS = [*TINY, "scheduler=constant", "optimizer.lr=0.05", "model.dropout=0.3", "model.num_layers=2"]


def last(id: str) -> Checkpoint:
    return Checkpoint.read(Path("runs/tiny", id, "checkpoints/last.ckpt"))


def raw(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {name.removeprefix("network."): value for name, value in checkpoint.content["state_dict"].items()}


def equal(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    return some.keys() == others.keys() and all(torch.equal(value, others[name]) for name, value in some.items())


@pytest.mark.parametrize(
    ("option", "weight", "first"), [("ema=0.8", decaying(0.8), 1), ("average_last=0.5", even_from(3), 4)]
)
def test_the_average_is_that_of_the_steps_and_training_does_not_see_it(option, weight, first, monkeypatch):
    seqkit.train([*WORDS, "trainer.keep_checkpoints=9", "id=plain"])
    report = seqkit.train([*WORDS, f"trainer.{option}", "id=a"])
    plain, averaged = last("plain"), last("a")
    assert equal(raw(plain), raw(averaged))  # all that training needs is as without
    folder = plain.path.parent
    steps = sorted((Checkpoint.read(path) for path in folder.glob("last*.ckpt")), key=lambda one: one.step)
    due: dict[str, torch.Tensor] = {}
    for saved in {saved.step: saved for saved in steps}.values():
        if saved.step >= first:
            share = 1.0 if saved.step == first else weight(saved.step)
            due = {name: due.get(name, value).lerp(value, share) for name, value in raw(saved).items()}
    assert all(torch.allclose(value, due[name], rtol=1e-5) for name, value in averaged.content[AVERAGED].items())
    assert equal(averaged.weights, dict(averaged.network().named_parameters()))
    assert not equal(averaged.weights, raw(averaged))
    best = seqkit.load("runs/tiny/a")
    assert best.evaluate("valid")["model"] == report["valid"]
    saved = Checkpoint.read(best.path)
    assert saved.metadata["latest"]["mse"] == pytest.approx(report["valid"]["mse"], rel=1e-5)  # as validated


def test_a_kill_does_not_change_the_average_nor_does_going_on_longer(monkeypatch):
    seqkit.train([*WORDS, "trainer.ema=0.8", "trainer.max_steps=10", "id=whole"])
    with killed_at(monkeypatch, 4):
        seqkit.train([*WORDS, "trainer.ema=0.8", "id=a"])
    resume(Path("runs/tiny/a"), changes=["trainer.max_steps=10"])
    whole, again = last("whole"), last("a")
    assert equal(whole.weights, again.weights)
    assert equal(raw(whole), raw(again))


@pytest.mark.parametrize(("interval", "due"), [(1, 5), (2, 6), (3, None)])
def test_the_average_starts_where_a_score_is_worse_than_the_best_before_the_last_few(interval, due):
    """As ``len(best) > n and loss > min(best[:-n])`` of the authors' main.py, by hand."""
    trigger = NonMonotone(interval)
    for step, score in enumerate([5.0, 4.0, 3.0, 3.5, 3.2, 3.1], 1):
        trigger.validated(score, step)
    assert trigger.start == due
    assert trigger(6) == (1.0 if due == 5 else None)
    assert trigger(7) == {5: 1 / 2, 6: 1.0, None: None}[due]


def test_a_kill_before_or_after_the_trigger_does_not_change_the_average(monkeypatch):
    words = [*WORDS, "optimizer.lr=0.5", "trainer.average_when_stalled=1", "trainer.val_check_interval=1"]
    words += ["trainer.max_steps=16", "trainer.keep_checkpoints=20"]
    report = seqkit.train([*words, "id=whole"])
    first = last("whole").content["callbacks"]["Averaging"]["start"] + 1
    assert 3 < first < 15
    folder = last("whole").path.parent
    steps = {saved.step: raw(saved) for saved in map(Checkpoint.read, folder.glob("last*.ckpt"))}
    for name, value in last("whole").content[AVERAGED].items():
        due = torch.stack([steps[step][name] for step in range(first, 17)]).mean(0)
        assert torch.allclose(value, due, rtol=1e-4, atol=1e-6)
    for step in (first, first + 1):  # before the average begins, and within it
        with killed_at(monkeypatch, step):
            seqkit.train([*words, f"id=at{step}"])
        assert resume(Path(f"runs/tiny/at{step}"))["valid"] == report["valid"]
        assert equal(last("whole").weights, last(f"at{step}").weights)
        assert equal(raw(last("whole")), raw(last(f"at{step}")))


@pytest.mark.parametrize("option", ["trainer.average_when_stalled=1", "scheduler=plateau"])
def test_a_validation_at_an_old_end_off_the_interval_decides_nothing_in_a_longer_training(option, monkeypatch):
    """With a score that gets worse at the old end only."""
    scores = {2: {"mse": 3.0}, 4: {"mse": 2.0}, 5: {"mse": 9.0}, 6: {"mse": 1.0}}
    compute = SequenceModule.on_validation_epoch_end

    def given(self):
        joined = {"model": scores[self.global_step]}
        monkeypatch.setattr(self._scorer, "compute_over_ranks", lambda: joined)
        compute(self)

    monkeypatch.setattr(SequenceModule, "on_validation_epoch_end", given)
    words = [*WORDS, option, "optimizer.lr=0.2"]
    words += ["scheduler.patience=0", "scheduler.reduce=0.1"] if option == "scheduler=plateau" else []
    seqkit.train([*words, "id=planned"])
    seqkit.train([*words, "trainer.max_steps=5", "id=a"])
    resume(Path("runs/tiny/a"), changes=["trainer.max_steps=6"])
    planned, longer = last("planned"), last("a")
    assert equal(raw(planned), raw(longer))
    assert equal(planned.weights, longer.weights)
    assert planned.content["callbacks"].get("Averaging") == longer.content["callbacks"].get("Averaging")


def test_one_average_at_a_time():
    with pytest.raises(ConfigError, match="give one of them"):
        seqkit.train([*TINY, "trainer.ema=0.9", "trainer.average_last=0.5"])

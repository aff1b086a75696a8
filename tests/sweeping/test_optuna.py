import math

import pytest

from seqkit.__main__ import run
from tests.sweeping.conftest import SMALL, ledger, states

pytest.importorskip("optuna")
LR = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
WORDS = [
    *SMALL, LR, "model.hidden_size=interval(3,9)", "model=gru,lstm", "-m", "hydra/sweeper=optuna",
    "hydra.sweeper.n_trials=4", "hydra.sweeper.n_startup_trials=2",
]  # fmt: skip


def distance(config):
    return abs(math.log10(config["optimizer"]["lr"]) + 2) + (config["model"]["name"] == "gru")


def choices():
    return [job["overrides"] for job in ledger()["jobs"]]


def test_a_sweep_that_goes_on_chooses_as_without_the_stop(trainings):
    trainings.score = distance
    assert run(["train", *WORDS]) == 0
    whole = choices()
    assert len({tuple(job) for job in whole}) == 4
    sizes = [config["model"]["hidden_size"] for config in trainings.configs]
    assert all(isinstance(size, int) and 3 <= size <= 9 for size in sizes)

    def stopping(config):
        if config["id"] == "s-2":
            raise KeyboardInterrupt
        return distance(config)

    trainings.score = stopping
    assert run(["train", *WORDS, "--fresh"]) == 130
    assert choices() == whole[:3]
    trainings.take()
    trainings.score = distance
    assert run(["train", "-m", "--resume", "s"]) == 0
    assert trainings.take() == ["s-2", "s-3"]
    assert choices() == whole


def test_a_failed_trial_and_one_without_a_score_tell_optuna_nothing(trainings):
    def score(config):
        return {"s-0": math.nan, "s-1": None}[config["id"]] if config["id"] in ("s-0", "s-1") else 1 / 0

    trainings.score = score
    assert run(["train", *WORDS, "hydra.sweeper.n_jobs=2"]) == 1
    assert states() == ["finished"] * 2 + ["failed"] * 2


@pytest.mark.parametrize(("words", "line"), [
    (["hydra.sweeper.direction=maximize"], "hydra.sweeper.direction=maximize, but the score of head=forecast is mse, which "
                                           "minimize is for; leave the direction out"),
    (["hydra.sweeper.direction=up"], "no hydra.sweeper.direction 'up'. Known: maximize, minimize"),
    (["hydra.sweeper.sampler=grid"], "no hydra.sweeper.sampler 'grid'. Known: random, tpe"),
    (["hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0: expected a whole number of at least 1"),
])  # fmt: skip
def test_refusals(trainings, words, line, capsys):
    without = [word for word in WORDS if word.partition("=")[0] != words[0].partition("=")[0]]
    assert run(["train", *without, *words]) == 1
    assert capsys.readouterr().err == f"seqkit: {line}\n"
    assert not trainings.configs


def test_nothing_to_choose_is_refused(trainings, capsys):
    assert run(["train", *SMALL, "-m", "hydra/sweeper=optuna"]) == 1
    assert "hydra/sweeper=optuna has nothing to choose; " in capsys.readouterr().err

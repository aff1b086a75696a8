"""The learning rate range test: what it suggests, what it draws, and that nothing else is left of it."""

import json
import math
from pathlib import Path

import pytest

from seqkit.__main__ import run
from seqkit.errors import TrainingError
from seqkit.training.rates import RateTest
from tests.conftest import TINY


def made(loss, steps=61, start=1e-6, end=1.0):
    """Return a test whose loss is a function of the logarithm of the rate."""
    rates = [start * (end / start) ** (step / (steps - 1)) for step in range(steps)]
    return RateTest(rates, [loss(math.log10(rate)) for rate in rates], half_decade=5, diverged=False)


def test_the_suggestion_is_where_the_loss_falls_most():
    test = made(lambda power: 1 / (1 + math.exp(4 * (power + 3))) + max(0.0, power + 1))
    assert math.log10(test.rates[test.steepest]) == pytest.approx(-3, abs=0.1)
    assert -2 < math.log10(test.rates[test.lowest]) <= -1


def test_where_the_loss_only_grows_there_is_no_suggestion():
    with pytest.raises(TrainingError, match="the loss falls at none of the learning rates"):
        _ = made(lambda power: power).steepest


def test_a_test_leaves_a_curve_and_a_line(capsys):
    words = [*TINY, "optimizer.groups={head:2}", "trainer.accumulate_grad_batches=2", "freeze=[model.layers.0]"]
    assert run(["lr-find", *words, "--steps", "40", "--from", "1e-3", "--to", "1e3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rates"][:2] == pytest.approx([1e-3, 1e-3 * 10 ** (6 / 39)])
    assert len(found["rates"]) == len(found["losses"])
    assert found["diverged"]
    assert found["suggested"] < found["rates"][-1] < 1e3
    assert [path.name for path in Path().iterdir() if path.name != ".seqkit"] == ["lr_find.png"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--from", "1", "--to", "0.1"], "--from 1 --to 0.1: give two rates above 0, the lower first"),
        (["--steps", "3"], "--steps 3: give at least 20"),
        (["--output", "nowhere/curve.png"], "give a file in a folder that is there"),
        (["--output", "curve.jpg"], "ending in .png, .svg, .pdf"),
        (["--fast"], "no flag --fast"),
        (["model=lsmt"], "Did you mean 'lstm'?"),
    ],
)
def test_what_cannot_be_is_one_line(words, reason, capsys):
    assert run(["lr-find", *words]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert reason in line

"""Plugins of one file get the whole toolkit: a task of their own, a head on a known task, a new pair of kinds."""

import json
import multiprocessing
import re
import signal
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

import seqkit
from seqkit import registry
from seqkit.__main__ import run
from tests.training.test_resume import assert_equal, kill_at, outcome

SMALL = ["model.hidden_size=8", "trainer.accelerator=cpu", "trainer.max_steps=12", "trainer.val_check_interval=4",
         "trainer.checkpoint_every_n_steps=2"]  # fmt: skip
ROLL = ["data=piano_roll", "data.steps=8", *SMALL]


NOTES = ("C", "E", "G", "A", "B")
LEVELS = (0.1, 0.5, 0.9)


def load_plugins() -> None:
    """Import the plugins anew, which registers them."""
    for name in ("piano_roll", "quantile", "sentences"):
        sys.modules.pop(f"tests.plugins.{name}", None)
        import_module(f"tests.plugins.{name}")


@pytest.fixture(autouse=True)
def _plugins(monkeypatch):
    """Register the plugins for one test only."""
    registry.load_built_in()
    monkeypatch.setattr(registry, "_components", {kind: dict(found) for kind, found in registry._components.items()})
    load_plugins()


def report_of(capsys, overrides, name) -> dict:
    assert run(["train", *overrides, "id=x"]) == 0, capsys.readouterr().err
    capsys.readouterr()
    return json.loads(Path("runs", name, "x", "report.json").read_text())


def train_and_die(overrides: list[str]) -> None:
    torch.set_num_threads(1)
    load_plugins()
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, "training_step", 7, lambda: signal.raise_signal(signal.SIGKILL))
        run(["train", *overrides])


def test_a_task_of_ones_own_trains_reports_evaluates_predicts_and_describes(capsys):
    report = report_of(capsys, ROLL, "piano_roll")
    assert report["monitor"] == ["f1", "max"]
    assert set(report["test"]) == {"loss", "f1"}
    assert set(report["baselines"]) == {"same notes again", "training frequency"}
    assert report["baselines"]["same notes again"]["f1"] < 1
    assert "piano_roll.png" in report["figures"]
    assert Path("runs/piano_roll/x/piano_roll.png").read_bytes().startswith(b"\x89PNG")
    assert run(["evaluate", "runs/piano_roll/x", "--batch-size", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"model": report["test"], **report["baselines"]}
    Path("roll.csv").write_text("C,E,G,A,B\n" + "1,0,1,0,0\n0,1,0,1,0\n" * 4)
    assert run(["predict", "runs/piano_roll/x", "roll.csv", "--json"]) == 0
    ((answer),) = json.loads(capsys.readouterr().out)
    assert set(answer["notes"]) == set(NOTES)
    assert run(["predict", "runs/piano_roll/x", "roll.csv"]) == 0
    assert re.fullmatch(r"roll\.csv: (silence|[A-G]( [A-G])*)\n", capsys.readouterr().out)
    assert run(["predict", "runs/piano_roll/x", "roll.csv", "--output", "heard"]) == 0
    assert capsys.readouterr().out == "roll.csv: heard/roll.prediction.txt\n"
    assert re.fullmatch(r"silence|[A-G]( [A-G])*", Path("heard/roll.prediction.txt").read_text())
    assert run(["predict", "runs/piano_roll/x", "roll.csv", "./roll.csv", "--output", "heard"]) == 1
    assert capsys.readouterr().err == "seqkit: --output: two inputs are called roll; predict for them one at a time\n"
    Path("taken").touch()
    assert run(["predict", "runs/piano_roll/x", "roll.csv", "--output", "taken"]) == 1
    assert "taken/roll.prediction: cannot be written (file exists)" in capsys.readouterr().err
    assert run(["predict", "runs/piano_roll/x", "roll.csv", "--output", "out.csv"]) == 1
    assert capsys.readouterr().err.startswith("seqkit: answers of Notes have no rows; ")
    assert run(["describe", "runs/piano_roll/x"]) == 0
    assert "notes" in capsys.readouterr().out


def test_a_task_of_ones_own_is_bit_equal_after_a_kill(capsys):
    assert run(["train", *ROLL, "id=whole"]) == 0
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=train_and_die, args=([*ROLL, "id=killed"],))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert run(["resume", "runs/piano_roll/killed"]) == 0, capsys.readouterr().err
    assert_equal(outcome("runs/piano_roll/killed"), outcome("runs/piano_roll/whole"))


def test_a_task_of_ones_own_is_refused_by_heads_that_do_not_serve_it(capsys):
    assert run(["train", *ROLL, "head=classify"]) == 1
    line = "seqkit: head=classify needs classes, this data has Notes; use head=notes\n"
    assert capsys.readouterr().err.endswith(line)


def test_a_head_on_a_known_task_gets_its_baselines_and_figure(capsys):
    data = ["data=sea_temperature", "data.lookback=48", "data.horizon=4", "data.split=[300,60,60]"]
    report = report_of(capsys, [*data, "head=quantile", *SMALL], "sea_temperature")
    plain = seqkit.train([*data, *SMALL, "id=plain", "trainer.max_steps=1"])
    errors = {"mse", "mae", "mse_raw", "mae_raw", "rmse", "smape", "mase", "rmsse"}
    assert errors | {"coverage_80", "pinball", "crps"} <= set(report["test"])
    for name, scores in plain["baselines"].items():  # whatever the head's outputs look like
        found = report["baselines"][name]
        assert {score: found[score] for score in errors} == {score: scores[score] for score in errors}
        assert set(found) == set(report["test"])  # of the same quantiles
    assert report["figures"] == ["learning_curves.png", "forecast.png"]
    assert run(["evaluate", "runs/sea_temperature/x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == report["test"]
    rows = torch.rand(60, 1).numpy() + 10
    (answer,) = seqkit.load("runs/sea_temperature/x").predict([rows])
    assert answer["levels"] == list(LEVELS)
    assert all(step[0] == sorted(step[0]) for step in answer["quantiles"])


@pytest.mark.parametrize("tokenizer", ["word", "char"])
def test_labelled_sentences_train_and_predict(tokenizer, capsys):
    report = report_of(capsys, ["data=sentences", f"data.tokenizer={tokenizer}", *SMALL], "sentences")
    assert set(report["baselines"]) == {"majority class"}
    assert "confusion_matrix.png" in report["figures"]
    assert run(["predict", "runs/sentences/x", "the film was good", "bad", "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert run(["predict", "runs/sentences/x", "bad", "--output", "out"]) == 1
    assert (
        capsys.readouterr().err
        == "seqkit: answers of Classes are text and rows; write them to a name that ends in .csv, .jsonl or .parquet\n"
    )
    assert [set(answer["probabilities"]) for answer in answers] == [{"good", "bad"}] * 2
    long = "good film " * 5000
    trained = seqkit.load("runs/sentences/x")
    (answer,) = trained.predict([long.strip()])
    ids = trained.spec.inputs.read(long.strip())
    with torch.no_grad():
        outputs, _, _ = trained.network(seqkit.Batch(ids[None]))
    assert answer["probability"] == pytest.approx(float(outputs.softmax(1).max()))  # from the whole text

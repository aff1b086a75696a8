import csv
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from seqkit.__main__ import run
from seqkit.evaluation import NetworkPredictor
from seqkit.registry import build
from seqkit.runs.checkpoint import Checkpoint
from seqkit.sweeping.backtest import folds_of
from seqkit.tasks.forecast.spec import Series
from seqkit.trained import load
from seqkit.training.module import SequenceModule
from tests.bad_files import hourly, many
from tests.conftest import Killed

ROWS = 90
SMALL = [
    "data.lookback=6", "data.horizon=3", "data.season=5", "data.batch_size=8", "model.hidden_size=4", "frontend.patch=1",
    "trainer.accelerator=cpu", "trainer.max_steps=6", "trainer.val_check_interval=2", "trainer.dry_run=false",
    "trainer.checkpoint_every_n_steps=1", "name=b", "id=x",
]  # fmt: skip
SINGLE = ["experiment=forecast", "data.path=t.csv", "data.time_column=date", "data.split=[45,15,30]", *SMALL]
MANY = [
    "experiment=series_table", "data.path=t.csv", "data.series=shop", "data.time_column=date", "data.targets=[sales]",
    "data.split=[0.6,0.2,0.2]", *SMALL,
]  # fmt: skip


def backtest(*words, overrides=SINGLE, text=None):
    Path("t.csv").write_text(hourly(rows=ROWS) if text is None else text)
    assert run(["backtest", *overrides, *words]) == 0
    return json.loads(Path("runs/sweeps/x/backtest.json").read_text())


def weights(number):
    return Checkpoint.read(Path(f"runs/b/x-{number}/checkpoints/best.ckpt")).content["state_dict"]


def equal(some, others):
    return some.keys() == others.keys() and all(torch.equal(value, others[name]) for name, value in some.items())


def refused(capsys, *words):
    Path("t.csv").write_text(hourly(rows=ROWS))
    assert run(["backtest", *words]) == 1
    assert not Path("runs").exists()
    return capsys.readouterr().err.strip().removeprefix("seqkit: ")


def test_one_training_forecasts_from_every_origin(capsys):
    facts = backtest("--origins", "3")
    assert [fold["origin"] for fold in facts["folds"]] == ["2024-01-03 12:00", "2024-01-04 01:00", "2024-01-04 15:00"]
    assert {fold["run"] for fold in facts["folds"]} == {"b/x-0"}
    report = json.loads(Path("runs/b/x-0/report.json").read_text())
    assert facts["folds"][0]["scores"] == {"model": report["test"], **report["baselines"]}
    # The last three values before the second origin, repeated: what the file says, not what a network says.
    load = [float(line.split(",")[1]) for line in hourly(rows=ROWS).splitlines()[1:]]
    heat = [row % 7 for row in range(ROWS)]
    errors = [abs(column[row] - column[72]) for column in (load, heat) for row in (73, 74, 75)]
    raw = facts["folds"][1]["scores"]["repeat last"]
    assert raw["mae_raw_load"] == pytest.approx(sum(errors[:3]) / 3, rel=1e-4)
    assert raw["mae_raw_heat"] == pytest.approx(sum(errors[3:]) / 3, rel=1e-4)
    each = [fold["scores"]["model"]["mse"] for fold in facts["folds"]]
    assert facts["mean"]["model"]["mse"] == pytest.approx(sum(each) / 3, rel=1e-4)
    assert facts["deviation"]["model"]["mse"] == pytest.approx(torch.tensor(each).std().item(), rel=1e-4)
    best = min(facts["mean"], key=lambda name: facts["mean"][name]["mse"])
    assert facts["best"]["mse"] == best
    printed = capsys.readouterr().out
    assert printed.count(" *") >= 5
    assert "mean ± standard deviation over 3 origins" in printed
    folder = Path("runs/sweeps/x")
    lines = list(csv.DictReader((folder / "table.csv").open()))
    assert len(lines) == 3 * len(facts["mean"])
    assert float(lines[0]["mse"]) == pytest.approx(each[0])
    assert (folder / "table.md").read_text().startswith("mse from each origin")
    assert (folder / "backtest.png").stat().st_size > 10_000


def test_trainings_before_each_origin_see_no_row_from_it_on_and_none_before_their_window():
    facts = backtest("--origins", "2", "--refit", "--window", "30")
    assert [fold["run"] for fold in facts["folds"]] == ["b/x-0", "b/x-1"]
    before = [weights(number) for number in range(2)]
    # The first one trains on rows 15 to 44, validates on 45 to 59; the second on 42 to 71 and on 72 to 86.
    others = {2 + row: f"2024-01-{1 + row // 24:02d} {row % 24:02d}:00,7.5,{row % 5}" for row in range(ROWS)}
    changed = {line: text for line, text in others.items() if line - 2 < 15 or line - 2 >= 60}
    backtest("--origins", "2", "--refit", "--window", "30", "--fresh", text=hourly(changed, rows=ROWS))
    after = [weights(number) for number in range(2)]
    assert [equal(old, new) for old, new in zip(before, after, strict=True)] == [True, False]


def test_a_killed_backtest_goes_on_bit_for_bit(monkeypatch, capsys):
    whole = backtest("--origins", "2", "--refit")
    expected = [weights(number) for number in range(2)]
    step, count = SequenceModule.training_step, 0

    def dying(self, batch, batch_idx):
        nonlocal count
        count += 1
        if count == 10:  # in the second training
            raise Killed
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SequenceModule, "training_step", dying)
    with pytest.raises(Killed):
        backtest("--origins", "2", "--refit", "--fresh")
    assert run(["train", "-m", "--resume", "x"]) == 1
    assert "goes on by `seqkit backtest --resume runs/sweeps/x`" in capsys.readouterr().err
    assert run(["backtest", "--resume", "x"]) == 0
    assert count == 10 + 3  # the last three steps of the second training
    assert json.loads(Path("runs/sweeps/x/backtest.json").read_text()) == whole
    assert all(equal(weights(number), old) for number, old in enumerate(expected))


@pytest.mark.parametrize(
    "head",
    [
        *(pytest.param(head, marks=pytest.mark.slow) for head in ("forecast", "distribution_forecast")),
        "quantile_forecast",
    ],
)
def test_many_series_and_every_head(head):
    facts = backtest("--origins", "2", f"head={head}", overrides=MANY, text=many(rows=80))
    assert [fold["forecasts"] for fold in facts["folds"]] == [3, 3]
    assert facts["folds"][0]["origin"] == "2024-01-03 16:00 to 2024-01-05 16:00"
    assert facts["monitor"][0] == ("mse" if head == "forecast" else "crps")
    for scores in (fold["scores"] for fold in facts["folds"]):
        assert {"model", "repeat last", "seasonal naive (season 5)", "drift", "linear"} <= {*scores}
        assert all(math.isfinite(own["coverage_90"]) for own in scores.values())
    assert "width_90" not in facts["best"]  # of which neither more nor less is better


def test_intervals_are_adapted_by_what_was_missed_since_the_first_origin():
    backtest("--origins", "3", "head=forecast", "head.adaptive=0.2")
    folds = folds_of([Path("runs/b/x-0")], 3)
    trained = load("runs/b/x-0")
    data = build("data", {**trained.config["data"], "fold": None})  # all of the test part, one window after another
    data.setup()
    batch = data.collate([data.part("test")[place] for place in range(len(data.part("test")))])
    whole = {"model": NetworkPredictor(trained.network)(batch)}
    plain = whole["model"].quantiles_BFCQ
    whole["model"] = trained.spec.task.over_time(data.spec)(whole["model"], batch)
    whole |= {name: predict(batch) for name, predict in trained.spec.task.baselines(trained.spec, data, "test").items()}
    for fold, place in zip(folds, (0, 13, 27), strict=True):
        for name, prediction in {"model": fold.prediction, **fold.beside}.items():
            due = whole[name].quantiles_BFCQ[place]
            torch.testing.assert_close(prediction.quantiles_BFCQ[0], due, rtol=1e-5, atol=1e-5)
            metric = trained.spec.task.metrics(trained.spec)
            metric.update(prediction, fold.batch)
            assert fold.scores[name]["crps"] == pytest.approx(float(metric.compute()["crps"]), rel=1e-5)
    torch.testing.assert_close(plain[0], whole["model"].quantiles_BFCQ[0])
    assert (plain[27] - whole["model"].quantiles_BFCQ[27]).abs().max() > 1e-3


def test_refusals(capsys):
    assert refused(capsys, "data=adding") == (
        "backtest needs a series to forecast, such as data=series_table reads; data=adding has no data.fold to be cut by"
    )
    assert refused(capsys, *SINGLE, "data.fold=[0,2]") == "data.fold is what backtest sets; leave it out"
    assert refused(capsys, *SINGLE, "--origins", "0") == "--origins 0: give at least 1"
    assert refused(capsys, *SINGLE, "--window", "30").startswith("--window says how many rows each training of --refit")
    assert refused(capsys, *SINGLE, "-m") == "no flag -m; `seqkit backtest --help` names those there are"
    assert refused(capsys, "--resume", "x", "--origins", "10", "--refit", "--window", "50") == (
        "--resume goes on with the backtest as it is; leave out --origins=10 --window=50 --refit"
    )
    assert "the train part has 5 rows" in refused(capsys, *SINGLE, "--refit", "--window", "5")
    assert "30 rows, so that a forecast of data.horizon=3 can start at 28 of them" in refused(
        capsys, *SINGLE, "--origins", "29"
    )


def test_a_head_need_not_be_chosen():
    chosen = ["data=series_table", *(word for word in SINGLE if not word.startswith(("experiment", "frontend")))]
    assert len(backtest("--origins", "2", overrides=chosen)["folds"]) == 2


@pytest.mark.parametrize("needed", ["in_fold", "origins"])
def test_data_that_are_not_made_for_it_are_refused(needed, capsys, monkeypatch):
    other = type("Other", (), {"spec": SimpleNamespace(task=Series), "in_fold": 1, "origins": ()})
    delattr(other, needed)
    monkeypatch.setattr("seqkit.sweeping.backtest.build", lambda *_: other())
    monkeypatch.setattr("seqkit.sweeping.backtest.set_up", lambda _: None)
    assert refused(capsys, *SINGLE) == f"backtest: Other of data=series_table has no '{needed}'; see docs/plugins.md"

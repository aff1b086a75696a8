import json
from types import SimpleNamespace

import polars as pl
import pytest
import torch
from torch import nn

import seqkit
from seqkit.__main__ import run
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, DataError
from seqkit.inference.forecast import Future, forecast, refuse_without_future
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.prediction import SeriesPrediction
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.spec import NextToken
from tests.bad_files import hourly, refused

FRAMES = Frames(("load", "heat"), (0.0, 0.0), (1.0, 1.0), time_column="date")
SPEC = DataSpec(FRAMES, Series(2, ("load",), (0.0,), (1.0,)))
ANSWER = {
    "times": ["2024-01-03 12:00", "2024-01-03 13:00"],
    "names": ["load"],
    "values": [[1.0], [2.0]],
    "levels": [0.1, 0.5, 0.9],
    "quantiles": [[[0.5, 1.0, 1.5]], [[1.25, 2.0, 7 / 3]]],
}
TRAIN = ["data=series_table", "data.path=t.csv", "data.time_column=date", "data.lookback=8", "data.horizon=3",
         "data.targets=[load]", "model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=1", "id=x"]  # fmt: skip


def test_a_run_forecasts_what_follows_its_file_or_another(tmp_path, monkeypatch, capsys):
    (tmp_path / "t.csv").write_text(hourly())
    (tmp_path / "short.csv").write_text(hourly(rows=5))
    (tmp_path / "earlier.csv").write_text(hourly(rows=30))
    assert run(["train", *TRAIN]) == 0
    [folder] = (tmp_path / "runs").glob("*/x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    capsys.readouterr()

    assert run(["forecast", str(folder), "--output", "out.csv", "--plot", "out.png"]) == 0
    assert capsys.readouterr().out == "out.csv and out.png: 3 rows of 1 series\n"
    frame = pl.read_csv("out.csv")
    assert frame["date"].to_list() == ["2024-01-03 12:00", "2024-01-03 13:00", "2024-01-03 14:00"]
    trained = seqkit.load(folder)
    values = trained.predict(str(tmp_path / "t.csv"))[0]["values"]
    assert frame["load"].to_list() == pytest.approx([value for [value] in values], rel=1e-6)
    assert (elsewhere / "out.png").read_bytes().startswith(b"\x89PNG")

    assert trained.forecast(tmp_path / "earlier.csv").table()["date"][0] == "2024-01-02 06:00"
    assert run(["forecast", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["times"] == frame["date"].to_list()
    assert run(["forecast", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("2024-01-03 12:00  ")

    assert run(["forecast", str(folder), "--horizon", "2", "--output", "two.csv"]) == 0
    assert pl.read_csv("two.csv").equals(frame.head(2))

    refused(["forecast", str(folder), "--horizon", "4"], "the model reads 'heat', which it does not forecast", capsys)
    refused(["forecast", str(folder), "--data", str(tmp_path / "short.csv")], "short.csv has 5 rows; the model", capsys)
    refused(
        ["forecast", str(folder), "--output", "out.xls"],
        "out.xls: expected a name that ends in .csv or .parquet",
        capsys,
    )
    (tmp_path / "t.csv").unlink()
    refused(["forecast", str(folder)], "t.csv: no such file", capsys)


class Ramp(nn.Module):
    """Predicts three rows that go on from the last one, and beside them what is known ahead of each."""

    feeds_back = True

    def __init__(self):
        super().__init__()
        self.step = nn.Parameter(torch.ones(()))
        self.made_by = {"head": SimpleNamespace(name="ramp")}
        self.head = self

    def forward(self, batch):
        steps = torch.arange(1, 4)[None, :, None] * self.step
        known = batch.extras["known"][:, :, :1] if "known" in batch.extras else 0
        return batch.inputs[:, -1:, :1] + steps + 100 * known, None, None

    def predict(self, outputs, lengths, batch):
        return SeriesPrediction(outputs, outputs[..., None] + torch.tensor([-1.0, 1.0]), (0.1, 0.9))


def ramp(tmp_path, horizon, network=None, **frames):
    (tmp_path / "r.csv").write_text("t,x,y\n" + "".join(f"{n},{n},0\n" for n in range(6)))
    names = ("x", "y")[: len(frames.get("roles", "x"))]
    inputs = Frames(names, (0.0,) * len(names), (1.0,) * len(names), time_column="t", **frames)
    spec = DataSpec(inputs, Series(3, ("x",), (0.0,), (1.0,), lookback=4))
    return forecast(network or Ramp(), spec, tmp_path / "r.csv", tmp_path / "k.csv" if frames else None, horizon)


@pytest.mark.parametrize("horizon", [None, 3, 2, 1, 7])
def test_a_forecast_has_as_many_rows_as_asked_for(tmp_path, horizon, caplog):
    table = ramp(tmp_path, horizon).table()
    rows = horizon or 3
    assert table["t"] == [str(6 + n) for n in range(rows)]
    assert table["x"] == [6 + n for n in range(rows)]  # 5 is the last one seen; beyond three it goes on from its own
    assert ("x_q0.1" in table) == (rows <= 3)
    assert ("rows after the first 3, the trained horizon" in caplog.text) == (rows > 3)


def test_beyond_the_horizon_columns_known_ahead_are_read_and_needed(tmp_path):
    known = "t,y\n" + "".join(f"{n},{int(n == 10)}\n" for n in range(6, 11))
    (tmp_path / "k.csv").write_text(known)
    assert ramp(tmp_path, 5, roles=("past", "known")).table()["x"] == [6, 7, 8, 9, 110]
    assert ramp(tmp_path, 2, roles=("past", "known")).table()["x"] == [6, 7]
    with pytest.raises(DataError, match="k.csv, line 6: ends at 10. Expected y up to 11"):
        ramp(tmp_path, 6, roles=("past", "known"))


def test_what_cannot_go_on_from_its_forecast_is_refused(tmp_path):
    ramp(tmp_path, 3)
    spec = DataSpec(Frames(("x", "y"), (0.0,) * 2, (1.0,) * 2), Series(3, ("x",), (0.0,), (1.0,), lookback=4))
    with pytest.raises(ConfigError, match="the model reads 'y', which it does not forecast"):
        forecast(Ramp(), spec, tmp_path / "r.csv", None, 4)
    network = Ramp()
    network.feeds_back = False
    with pytest.raises(ConfigError, match="a forecast of 4 rows: head=ramp forecasts the 3 rows that it was trained"):
        ramp(tmp_path, 4, network)
    with pytest.raises(ConfigError, match="a forecast of 0 rows: expected 1 or more"):
        ramp(tmp_path, 0)


def test_rows_that_are_fed_back_were_observed_and_keep_what_does_not_change():
    frames = Frames(
        ("x", "x observed", "hour", "size"), (0.0,) * 4, (1.0,) * 4, roles=("past", "observed", "known", "static")
    )
    inputs = torch.tensor([[[1.0, 1, 5, 9], [1.0, 0, 6, 9]]])
    rows = frames.continued(
        inputs, [{"names": ["x"], "values": [[2.0], [3.0]]}], {"known": torch.tensor([[[7.0], [8]]])}
    )
    assert rows.tolist() == [[[1, 1, 5, 9], [1, 0, 6, 9], [2, 1, 7, 9], [3, 1, 8, 9]]]


def test_a_wide_table_gives_rows_by_the_names_of_its_columns(tmp_path, capsys):
    (tmp_path / "t.csv").write_text(hourly())
    assert run(["train", *(word.replace("[load]", "[heat,load]") for word in TRAIN), "data.wide=true"]) == 0
    [folder] = (tmp_path / "runs").glob("*/x")
    assert (folder / "errors.csv").read_text().count("\n") == 3
    assert run(["forecast", str(folder), "--output", "out.csv"]) == 0
    frame = pl.read_csv("out.csv")
    assert frame.columns[:3] == ["series", "date", "value"]
    assert frame["series"].to_list() == ["heat"] * 3 + ["load"] * 3


def test_quantiles_are_columns(tmp_path):
    future = Future([ANSWER], [torch.zeros(30, 2)], SPEC)
    assert list(future.table(brief=True)) == ["date", "load", "load_q0.1", "load_q0.9"]
    place = future.write(tmp_path / "out.parquet")
    assert pl.read_parquet(place).to_dict(as_series=False) == {
        "date": ANSWER["times"],
        "load": [1.0, 2.0],
        "load_q0.1": [0.5, 1.25],
        "load_q0.5": [1.0, 2.0],
        "load_q0.9": [1.5, 2.333333],
    }
    assert future.plot(tmp_path / "out.png").stat().st_size > 1000


def test_rows_without_times_are_numbered():
    spec = DataSpec(Frames(("load",), (0.0,), (1.0,)), SPEC.task)
    answer = {"names": ["load"], "values": [[1.0], [2.0]]}
    assert Future([answer], [torch.zeros(3, 1)], spec).table() == {"step": [1, 2], "load": [1.0, 2.0]}


@pytest.mark.parametrize(("task", "command"), [(NextToken(), "generate"), (Classes(("a", "b"), (1, 1)), "predict")])
def test_a_task_without_a_future_is_refused_by_name(task, command):
    spec = DataSpec(Tokens(Characters(("a", "b", "c"))), task)
    with pytest.raises(ConfigError, match=f"trained for {type(task).__name__}. Use `seqkit {command}`"):
        refuse_without_future(spec)

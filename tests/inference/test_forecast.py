import json

import polars as pl
import pytest
import torch

import seqkit
from seqkit.__main__ import run
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inference.forecast import Future, refuse_without_future
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.tasks.classify.spec import Classes
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

    refused(["forecast", str(folder), "--data", str(tmp_path / "short.csv")], "short.csv has 5 rows; the model", capsys)
    refused(
        ["forecast", str(folder), "--output", "out.xls"],
        "out.xls: expected a name that ends in .csv or .parquet",
        capsys,
    )
    (tmp_path / "t.csv").unlink()
    refused(["forecast", str(folder)], "t.csv: no such file", capsys)


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

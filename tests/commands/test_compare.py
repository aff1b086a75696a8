import csv
import json
import os
from pathlib import Path

import pytest

from seqkit.__main__ import run
from tests.written_runs import write_run


@pytest.fixture
def _two():
    write_run("a/x", {10: 0.5, 20: 0.75}, test=0.7)
    write_run("a/y", {10: 0.25}, test=0.8, model__hidden_size=5)


@pytest.mark.usefixtures("_two")
def test_json_and_csv_rank_by_validation(capsys):
    assert run(["compare", "runs/a/y", "runs/a/x", "runs/a/x", "--json"]) == 0
    (ranking,) = json.loads(capsys.readouterr().out)
    assert [(one["run"], one["options"]) for one in ranking["runs"]] == [
        ("runs/a/x", {"model.hidden_size": 4}),
        ("runs/a/y", {"model.hidden_size": 5}),
    ]
    assert run(["compare", "a", "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [(row["run"], row["valid"], row["test/accuracy"], row["model.hidden_size"]) for row in rows] == [
        ("runs/a/x", "0.75", "0.7", "4"),
        ("runs/a/y", "0.25", "0.8", "5"),
    ]


@pytest.mark.usefixtures("_two")
@pytest.mark.parametrize(("name", "begin"), [("c.png", b"\x89PNG"), ("c.svg", b"<?xml"), ("c.pdf", b"%PDF")])
def test_the_figure_is_drawn_where_it_is_asked_for(name, begin, capsys):
    assert run(["compare", "a"]) == 0
    assert sorted(os.listdir()) == ["runs"]
    assert run(["compare", "a", "--figure", name]) == 0
    assert Path(name).read_bytes().startswith(begin)
    assert f"learning curves: {name}" in capsys.readouterr().err


@pytest.mark.usefixtures("_two")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "--figure", "c.gif"], "c.gif: its name must end in .png, .svg or .pdf"),
        (["a", "--figure", "no/c.png"], "there is no folder no"),
        (["a", "--figure", "folder.png"], "folder.png: cannot be written"),
        (["b"], "no run in runs matches 'b'"),
        (["runs/foreign/one"], "there is no run in it"),
        (["runs/damaged"], "there is no run to compare"),
    ],
)
def test_refusals_are_one_line(arguments, said, capsys):
    Path("folder.png").mkdir()
    Path("runs/foreign/one").mkdir(parents=True)
    Path("runs/damaged").mkdir()
    Path("runs/damaged/config.json").write_text("{")
    assert run(["compare", *arguments]) == 1
    err = capsys.readouterr().err
    assert said in err.splitlines()[-1]
    assert "Traceback" not in err

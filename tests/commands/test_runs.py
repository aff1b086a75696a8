import json
from pathlib import Path

import pytest

from seqkit.__main__ import run
from tests.written_runs import write_run


@pytest.fixture
def _three():
    write_run("a/x", {10: 0.5, 20: 0.75}, test=0.7)
    write_run("a/y", {10: 0.25})
    write_run("b/x", {}, checkpoint=False)
    Path("runs/c/foreign").mkdir(parents=True)


@pytest.mark.usefixtures("_three")
def test_runs_lists_what_can_be_read_and_says_what_cannot(capsys):
    assert run(["runs"]) == 0
    out, err = capsys.readouterr()
    cells = [line.split() for line in out.splitlines() if "/" in line]
    assert [row[:4] for row in cells] == [
        ["a/x", "finished", "accuracy", "0.75"],
        ["a/y", "stopped", "accuracy", "0.25"],
        ["b/x", "failed", "-", "-"],
    ]
    assert cells[1][4] == "10/100"
    assert err.startswith("seqkit: runs/c/foreign is not a run")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("_three")
def test_runs_as_json(capsys):
    assert run(["runs", "a", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["run"], first["score"], first["test"]) == ("runs/a/x", 0.75, {"accuracy": 0.7})
    assert second["state"] == "stopped"


@pytest.mark.usefixtures("_three")
def test_a_narrow_terminal_loses_nothing(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert run(["runs", "a/x"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("finished", "0.75", "20", "size", "B"))


def test_runs_of_nothing(capsys):
    assert run(["runs"]) == 1
    Path("runs").mkdir()
    assert run(["runs"]) == 0
    assert "no run in runs yet" in capsys.readouterr().out

import json

import pytest

from seqkit.__main__ import run
from tests.testing.mutants import registered


def test_passed(capsys):
    assert run(["check", "frontend=embedding", "frontend.size=3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "frontend=embedding"
    assert any(line.endswith("does not apply  it has no steps()") for line in lines)
    assert lines[-1] == f"{len(lines) - 1} checks: none failed"


def test_failed(capsys):
    with registered():
        assert run(["check", "frontend=rounded_up", "optimizer=sgd"]) == 1
    lines = capsys.readouterr().out.splitlines()
    [failed] = [line for line in lines if "FAILED" in line]
    assert failed.startswith("frontend=rounded_up  steps are counted right ")
    assert "which give" in failed
    assert any(line.startswith("optimizer=sgd") for line in lines)
    assert lines[-1].endswith("checks: 1 failed")


def test_json(capsys):
    assert run(["check", "--json", "scheduler=cosine"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["result"] for row in rows} <= {"passed", "does not apply"}
    assert rows[0].keys() == {"component", "check", "result", "reason"}


@pytest.mark.parametrize(("words", "line"), [
    ([], "seqkit: say what to check: seqkit check model=NAME\n"),
    (["model"], "seqkit: 'model': write KIND=NAME or KIND.OPTION=VALUE, such as model=lstm\n"),
])  # fmt: skip
def test_wrong_words(words, line, capsys):
    assert run(["check", *words]) == 1
    assert capsys.readouterr().err == line

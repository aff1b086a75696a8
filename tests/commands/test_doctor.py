"""What seqkit finds here, and what it calls broken."""

import json
from pathlib import Path

import pytest
import torch

from seqkit import plugins
from seqkit.__main__ import run
from seqkit.report import environment

VERSION = environment._version


@pytest.fixture(autouse=True)
def _no_plugins(monkeypatch):
    monkeypatch.setattr(plugins, "found", list)


def doctor(capsys, code=0) -> dict:
    assert run(["doctor", "--json"]) == code
    return json.loads(capsys.readouterr().out)


def with_version(monkeypatch, name, version):
    monkeypatch.setattr(environment, "_version", lambda asked: version if asked == name else VERSION(asked))


def test_a_sound_machine(capsys, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_JWT", "secret")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("SEQKIT_COMPILED", "0")
    found = doctor(capsys)
    assert found["problems"] == []
    assert found["versions"]["torch"] == torch.__version__
    assert found["threads"]["torch"] == 1
    assert found["scheduler"] == {"SLURM_JOB_ID": "17"}
    assert found["wandb"] == "offline: WANDB_MODE=offline"
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("\nnothing is broken\n")
    assert f"\n  torch: {torch.__version__}\n" in out


@pytest.mark.parametrize(("name", "version", "problem"), [
    ("lightning", "2.6.2", "lightning 2.6.2 is a malicious upload; install another"),
    ("torch", "1.13.0", "torch 1.13.0 does not fit; seqkit needs torch<3,>=2.5"),
    ("rich", None, "rich is not installed; seqkit needs rich>=13"),
])  # fmt: skip
def test_a_version_that_cannot_work_is_broken(name, version, problem, capsys, monkeypatch):
    with_version(monkeypatch, name, version)
    assert doctor(capsys, 1)["problems"] == [problem]
    assert run(["doctor"]) == 1
    assert f"\nbroken: {problem}\n" in capsys.readouterr().out


def test_an_extra_that_is_not_installed_is_not_broken(capsys, monkeypatch):
    with_version(monkeypatch, "onnx", None)
    assert doctor(capsys)["versions"]["onnx"] is None
    assert run(["doctor"]) == 0
    assert "\n  onnx: none\n" in capsys.readouterr().out


def test_plugins_stand_with_their_time_and_fault(capsys, monkeypatch):
    good = plugins.Plugin("mgu", "seqkit-mgu", "0.1.0", file="mgu/__init__.py", seconds=0.25)
    bad = plugins.Plugin("bad", "seqkit-bad", "0.2.0", fault="bad.py:3: NameError: name 'x' is not defined")
    monkeypatch.setattr(plugins, "found", lambda: [good, bad])
    found = doctor(capsys, 1)
    assert found["problems"] == ["plugin bad: bad.py:3: NameError: name 'x' is not defined"]
    assert [plugin["seconds"] for plugin in found["plugins"]] == [0.25, 0]
    run(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert "  mgu of seqkit-mgu 0.1.0, 0.250 s: nothing registered" in lines
    assert "  bad of seqkit-bad 0.2.0, 0.000 s: bad.py:3: NameError: name 'x' is not defined" in lines


def test_a_folder_that_is_not_there_yet(capsys, monkeypatch):
    monkeypatch.setenv("SEQKIT_HOME", "home")
    assert doctor(capsys)["folders"]["user data"] == "home (not there yet)"
    Path("home").mkdir()
    assert doctor(capsys)["folders"]["user data"] == "home"

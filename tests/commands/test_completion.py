import json
import shutil
import subprocess
import sys

import pytest

from seqkit.__main__ import COMMANDS, run
from seqkit.commands.completion import SCRIPTS, candidates
from seqkit.report import names as module

NAMES = {
    "experiment": {"morse": {}},
    "data": {"series_table": {"path": [], "missing": ["refuse", "forward"]}, "morse": {"seed": []}},
    "model": {"gru": {"hidden_size": []}, "lstm": {"hidden_size": [], "zoneout": []}},
}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(module, "names", lambda: NAMES)


@pytest.mark.parametrize(("line", "words"), [
    ("seqkit tra", ["train"]),
    ("seqkit export RUN --for", ["--format"]),
    ("seqkit export RUN --format ", ["onnx", "torch"]),
    ("seqkit --plugin mgu.py tra", ["train"]),
    ("seqkit completion ", ["bash", "zsh", "fish"]),
    ("seqkit train mo", ["model=", "model."]),
    ("seqkit train ex", ["experiment="]),
    ("seqkit train model=", ["model=gru", "model=lstm"]),
    ("seqkit train model=l", ["model=lstm"]),
    ("seqkit train model.", ["model.hidden_size=", "model.zoneout="]),
    ("seqkit train model=gru model.", ["model.hidden_size="]),
    ("seqkit train data.missing=f", ["data.missing=forward"]),
    ("seqkit train data.path=", []),  # a file
    ("seqkit describe model=g", ["model=gru"]),
    ("seqkit predict RUN --output ", []),
    ("seqkit no-such-command ", []),
    ('seqkit train "model=l', ["model=lstm"]),
])  # fmt: skip
def test_what_may_follow(line, words):
    assert candidates(line) == words


def test_every_command_is_offered():
    assert [word for word in candidates("seqkit ") if word[0] != "-"] == sorted(COMMANDS)


def test_runs_are_offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("runs/morse/1", "runs/morse/2", "elsewhere/x/3"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.json").write_text("{}")
    assert candidates("seqkit predict ") == ["runs/morse/1", "runs/morse/2"]
    assert candidates("seqkit evaluate runs/morse/2") == ["runs/morse/2"]
    assert candidates("seqkit resume elsewhere/") == ["elsewhere/x/3"]


def test_names_are_found_once_for_what_is_installed(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = module.names()
    assert found["model"]["lstm"].keys() >= {"hidden_size", "zoneout"}
    assert found["data"]["series_table"]["missing"] == ["refuse", "forward", "interpolate", "mask"]
    assert "auto" in found["trainer"]
    monkeypatch.setattr(module, "_found", lambda: pytest.fail("asked again"))
    assert module.names() == found
    kept = tmp_path / "seqkit" / "names.json"
    kept.write_text(json.dumps({"installed": "other", "names": {}}))
    monkeypatch.setattr(module, "_found", lambda: NAMES)
    assert module.names() == NAMES


def test_commands_are_completed_without_torch():
    code = "import sys; from seqkit.commands.completion import candidates; candidates('seqkit tr'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("shell", SCRIPTS)
def test_each_shell_takes_its_script(shell, capsys):
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    assert subprocess.run([shell, "-n", "-c", script]).returncode == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_what_stands_after_an_equals_sign(tmp_path):
    fake = tmp_path / "seqkit"
    fake.write_text('#!/bin/sh\n[ "$3" = "seqkit train model=l" ] && printf "model=lstm\\nmodel=lru\\n"\n')
    fake.chmod(0o755)
    code = f"""PATH={tmp_path}:$PATH
    {SCRIPTS["bash"]}
    COMP_LINE="seqkit train model=lstm" COMP_POINT=20
    _seqkit
    echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["lstm", "lru"]

"""A plugin that pip installed: found by name, and by its runs in processes that were never told of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqkit.__main__ import run
from tests.conftest import TINY
from tests.finding.author import PRESET, cell, write

PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "seqkit-unit"
version = "0.3.1"

[project.entry-points."seqkit.plugins"]
unit = "seqkit_unit"

[tool.setuptools]
packages = ["seqkit_unit"]
package-data = { seqkit_unit = ["conf/**/*.yaml"] }
"""


@pytest.fixture
def installed(site, tmp_path):
    """Return the folder into which pip has installed the plugin."""
    write(tmp_path / "project" / "pyproject.toml", PROJECT)
    write(tmp_path / "project" / "seqkit_unit" / "__init__.py", cell())
    write(tmp_path / "project" / "seqkit_unit" / "conf" / "experiment" / "mine.yaml", PRESET.format(model="unit"))
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(site), "--upgrade"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "./project"], check=True, capture_output=True)
    return site


def test_an_installed_plugin_serves_every_process(installed):
    tiny = [word for word in TINY if word != "model.hidden_size=4"]
    assert run(["train", *tiny, "experiment=mine", "id=a"]) == 0
    found = json.loads(Path("runs/tiny/a/config.json").read_text())
    assert found["config"]["model"]["hidden_size"] == 3
    origin = found["components"]["model=unit"]
    assert (origin["distribution"], origin["version"]) == ("seqkit-unit", "0.3.1")
    write(Path("rows.csv"), "value,mark\n0.5,1\n0.25,1\n")
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "seqkit", *words],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for words in (["evaluate", "runs/tiny/a"], ["predict", "runs/tiny/a", "rows.csv"])
    ]
    for process in processes:
        out, err = process.communicate()
        assert (process.returncode, err) == (0, "")
        assert out

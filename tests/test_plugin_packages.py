"""The packages in plugins/, and those that `seqkit new` writes: installed, their own tests pass."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seqkit.commands.new import REGISTERS, write
from tests.pages import ROOT

EXAMPLES = sorted(path.name for path in (ROOT / "plugins").glob("seqkit-*"))
NEW = {f"seqkit-own-{kind}": kind for kind in REGISTERS}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Return a folder with all packages; they are installed in its `site`."""
    folder = tmp_path_factory.mktemp("packages")
    for package in EXAMPLES:  # a copy: an installation leaves its traces in the source
        shutil.copytree(ROOT / "plugins" / package, folder / package)
    for kind in NEW.values():
        write(kind, f"own_{kind}", str(folder))
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", "site"]
    install = [sys.executable, "-m", "pip", "install", *options, *(f"./{package}" for package in (*EXAMPLES, *NEW))]
    subprocess.run(install, check=True, capture_output=True, cwd=folder)
    return folder


@pytest.mark.parametrize("package", [*EXAMPLES, *NEW])
def test_its_own_tests_pass(package, installed):
    environment = {**os.environ, "PYTHONPATH": str(installed / "site"), "SEQKIT_HOME": str(installed / "home")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(installed / package)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr

"""The wheel, installed in an empty folder, is all that seqkit needs."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a folder into which the wheel has been installed, and the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in (
        "seqkit",
        "conf",
        "plugins",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    ):  # a copy: building writes beside the source
        subprocess.run(["cp", "-r", str(ROOT / name), str(folder)], check=True)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(folder)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = (folder / "dist").glob("*.whl")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder / "site"),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "site", wheel


def seqkit(site: Path, *words: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", "import seqkit; seqkit.main()", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_the_wheel_holds_what_it_should(installed):
    names = zipfile.ZipFile(installed[1]).namelist()
    for name in (
        "seqkit/conf/train.yaml",
        "seqkit/conf/experiment/morse.yaml",
        "seqkit/data/samples/sea_temperature.csv.gz",
        "seqkit/models/backends/fused/recurrence.c",
        "seqkit/templates/cell/pyproject.toml",
        "seqkit/templates/task/seqkit_example/metrics.py",
    ):
        assert name in names
    assert not [name for name in names if name.startswith(("tests", "conf/", "plugins", "benchmarks"))]
    sources = {f"seqkit/{path.relative_to(ROOT / 'seqkit')}" for path in (ROOT / "seqkit").rglob("*.py")}
    assert sources <= set(names)


def test_it_trains_from_an_empty_folder(installed):
    site, _ = installed
    where = subprocess.run(
        [sys.executable, "-P", "-c", "import seqkit; print(seqkit.__file__)"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(site)},
    )  # fmt: skip
    assert where.stdout.startswith(str(site))
    few = ["trainer.max_steps=3", "trainer.val_check_interval=3", "trainer.limit_val_batches=1", "model.hidden_size=8"]
    done = seqkit(site, "train", "experiment=sea_temperature", "data.split=[500,100,100]", "data.lookback=48",
                  "data.horizon=4", *few, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["test"]["mse"] > 0
    again = seqkit(site, "evaluate", report["run"], "--json")
    assert json.loads(again.stdout)["model"] == report["test"]


def test_it_writes_a_plugin(installed, tmp_path):
    done = seqkit(installed[0], "new", "task", "foo", "--path", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "seqkit-foo" / "seqkit_foo" / "metrics.py").is_file()

"""The wheel, installed in an empty folder, is all that seqkit needs."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import matplotlib
import pytest

from seqkit.models.backends.fused.compiling import NUMBERS, file_name, wheel_targets
from seqkit.models.backends.fused.library import runnable_targets
from tests.compilers import quick_compiler

ROOT = Path(__file__).parents[1]
COMPILED = shutil.which("cc") is not None
LOOPS = {
    f"seqkit/models/backends/fused/{file_name(target, number)}" for target in wheel_targets() for number in NUMBERS
}
WHERE = f"compiled from C, in the wheel, for {runnable_targets()[0]}" if COMPILED else "in torch, as no C compiler"
DOCTOR_AND_EVERY_LIBRARY = """
import json, os, seqkit, torch
from seqkit.__main__ import run
from seqkit.models.backends.fused import library
from seqkit.models.backends.fused.c_loops import CLoops
from seqkit.models.backends.fused.trial import try_loops
run(["doctor"])
tried = []
for target in library.runnable_targets() if library.target() != "native" else ():
    os.environ["SEQKIT_COMPILED"] = target
    for function in (library.target, library.path, library.load):
        function.cache_clear()
    for dtype in (torch.float32, torch.float64):
        try_loops(CLoops(), torch.device("cpu"), dtype, 70)
        tried.append(library.path(dtype).name)
with open("/proc/self/maps") as file:
    openmp = {line.split()[-1] for line in file if "libgomp" in line}
print(json.dumps({"seqkit": seqkit.__file__, "tried": tried, "openmp": list(openmp)}))
"""


def build(folder: Path, compiler: str) -> tuple[Path, str]:
    """Build a wheel; return it, and what was said."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    shutil.rmtree(folder / "dist", ignore_errors=True)
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=folder, env=os.environ | {"CC": compiler}
    )
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a folder into which the wheel has been installed, and the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in (
        "seqkit",
        "conf",
        "plugins",
        "pyproject.toml",
        "setup.py",
        "README.md",
        "LICENSE",
    ):  # a copy: building writes beside the source
        subprocess.run(["cp", "-r", str(ROOT / name), str(folder)], check=True)
    wheel, _ = build(folder, quick_compiler(folder) if COMPILED else "cc")
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


def python(site: Path, *words: str) -> subprocess.CompletedProcess:
    """Run Python where the wheel is installed and no compiler is on the path; the current folder keeps the cache."""
    environment = os.environ | {
        "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "PATH": "", "CC": "", "XDG_CACHE_HOME": "cache",
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # its fonts are looked for once
    }  # fmt: skip
    return subprocess.run([sys.executable, "-P", "-c", *words], capture_output=True, text=True, env=environment)


def seqkit(site: Path, *words: str) -> subprocess.CompletedProcess:
    return python(site, "import seqkit; seqkit.main()", *words)


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
    assert {name for name in names if name.endswith(".so")} == (LOOPS if COMPILED else set())
    assert ("-py3-none-any.whl" in installed[1].name) == (not COMPILED)
    listed = (installed[1].parents[1] / "seqkit.egg-info" / "SOURCES.txt").read_text().splitlines()  # of an sdist
    assert {"setup.py", "seqkit/models/backends/fused/recurrence.c"} <= set(listed)
    sources = {f"seqkit/{path.relative_to(ROOT / 'seqkit')}" for path in (ROOT / "seqkit").rglob("*.py")}
    assert sources <= set(names)


def test_without_a_compiler_it_trains_on_loops_from_the_wheel(installed):
    site, _ = installed
    few = ["trainer.max_steps=3", "trainer.val_check_interval=3", "trainer.limit_val_batches=1", "model.hidden_size=8"]
    done = seqkit(site, "train", "experiment=sea_temperature", "data.split=[500,100,100]", "data.lookback=48",
                  "data.horizon=4", "model=peephole_lstm", *few, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["test"]["mse"] > 0
    assert WHERE in json.dumps(report["backends"])
    again = seqkit(site, "evaluate", report["run"], "--json")
    assert json.loads(again.stdout)["model"] == report["test"]


def test_without_a_compiler_doctor_says_which_loops_run_and_each_is_right(installed):
    done = python(installed[0], DOCTOR_AND_EVERY_LIBRARY)
    assert done.returncode == 0, done.stderr
    *doctor, last = done.stdout.splitlines()
    assert "compiler: none" in doctor
    assert [line for line in doctor if line.startswith(f"fused loops: {WHERE}")]
    found = json.loads(last)
    assert found["seqkit"].startswith(str(installed[0]))
    wanted = [file_name(target, number) for target in runnable_targets() for number in NUMBERS] if COMPILED else []
    assert found["tried"] == wanted
    assert len(found["openmp"]) == 1  # a second one would have threads of its own


def test_a_wheel_built_without_a_compiler_says_so_and_is_for_any_machine(installed):
    wheel, said = build(installed[1].parents[1], "no-such-compiler")
    assert "a wheel without compiled loops" in said
    assert said.count("no C compiler was found (no-such-compiler)") == 1
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]


def test_it_writes_a_plugin(installed, tmp_path):
    done = seqkit(installed[0], "new", "task", "foo", "--path", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "seqkit-foo" / "seqkit_foo" / "metrics.py").is_file()

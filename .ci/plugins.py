"""From an empty environment: the wheel, a package of each kind by `seqkit new`, plugins/README.md, the examples.

Everything happens in a temporary folder, by the commands that a user would type: real installs, each command a process
of its own. The environment is new and holds seqkit's wheel; the libraries that seqkit needs are linked into it from the
environment that runs this script, for the sake of time.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = ROOT / "plugins"
MODELS = ("lstm", "mgu", "mogrifier", "mingru")
TINY = (
    "experiment=python_source model.hidden_size=16 data.batch_size=8 data.seq_len=16 trainer.max_steps=20 "
    "trainer.val_check_interval=10 trainer.limit_val_batches=2"
)
USES = ("seqkit evaluate {run}", "seqkit predict {run} 'def main('", "seqkit export {run}")


class CommandError(Exception):
    """A command that ended in another way than it should."""


class Shell:
    """A folder and an environment to run commands in, as a user would.

    Args:
        folder: Current folder of the commands; made here.
        binaries: Of the environment.
    """

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.environment = os.environ | {
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "SEQKIT_HOME": str(folder / "home"),
            "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # the value of build isolation: none, since setuptools is linked
        }  # fmt: skip

    def run(self, command: str, code: int = 0) -> subprocess.CompletedProcess:
        """Run a command line, which must exit with ``code``, and print it with the seconds it took."""
        start = time.perf_counter()
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        print(f"{time.perf_counter() - start:5.1f} s  {self.folder.name}$ {command}", flush=True)
        if done.returncode != code:
            raise CommandError(f"$ {command}\n{done.stdout[-4000:]}{done.stderr[-4000:]}exit code {done.returncode}")
        return done


def environment(folder: Path) -> Path:
    """Make an environment that has seqkit's wheel and what it needs; return its folder of commands."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    linked, binaries = folder / "linked", folder / "bin"
    linked.mkdir()
    for site in (Path(entry) for entry in sys.path if entry.endswith("site-packages")):
        for entry in site.iterdir():
            if "seqkit" not in entry.name and entry.suffix != ".pth" and not (linked / entry.name).exists():
                (linked / entry.name).symlink_to(entry)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (site / "linked.pth").write_text(f"{linked}\n")
    for tool in ("pip", "pytest"):  # their own scripts start the environment that they were installed in
        (binaries / tool).write_text(f'#!/bin/sh\nexec "{binaries}/python" -m {tool} "$@"\n')
        (binaries / tool).chmod(0o755)
    return binaries


def new(shell: Shell, kind: str) -> None:
    """Write, install, train and test a new package: the commands are those that `seqkit new` prints."""
    said = shell.run(f"seqkit new {kind} foo_{kind}").stdout
    commands = re.findall(r"^ {4}(.*)$", said, re.M)
    if len(commands) != 3:
        raise CommandError(f"seqkit new {kind} prints three commands, not:\n{said}")
    for command in commands:
        shell.run(command)


def page(shell: Shell) -> None:
    """Follow plugins/README.md to the letter: save its files, and run its commands and the code of its notebook."""
    text = (PLUGINS / "README.md").read_text()
    for code, command in re.findall(r"^```python\n(.*?)^```$|^ {4}(\S.*?)$", text, re.M | re.S):
        if file := re.match(r"# (\w+\.py)\n", code):
            (shell.folder / file[1]).write_text(code)
        elif code:
            (shell.folder / "cell.py").write_text(code)
            shell.run("python cell.py")
        else:
            shell.run(command)


def examples(shell: Shell) -> None:
    """Install the example packages, test them, train with them, use each run in fresh processes, then without them."""
    packages = sorted(package.name for package in PLUGINS.glob("seqkit-*"))
    for package in packages:
        shutil.copytree(PLUGINS / package, shell.folder / package)  # an installation leaves its traces in the source
    shell.run(f"pip install {' '.join(f'./{package}' for package in packages)}")
    for package in packages:
        shell.run(f"pytest -q {package}")
    said = shell.run(f"seqkit train {TINY} model={','.join(MODELS)} id=sweep -m").stdout
    print(said[said.rindex("\nmodel ") + 1 :], end="")
    for number in range(len(MODELS)):
        for command in USES:
            shell.run(command.format(run=f"runs/python_source/sweep-{number}"))
    for model in MODELS[1:]:
        kill(shell, model)
        shell.run(f"seqkit resume runs/python_source/{model}")
    shell.run(f"pip uninstall --yes {' '.join(packages)}")
    for number, model in enumerate(MODELS[1:], 1):
        for command in (*USES, "seqkit resume {run}"):
            said = shell.run(command.format(run=f"runs/python_source/sweep-{number}"), code=1).stderr
            if said.count("\n") != 1 or f"seqkit-{model}" not in said:
                raise CommandError(f"{command} without seqkit-{model} should say so in one line, not:\n{said}")
        print(said, end="")


def kill(shell: Shell, model: str) -> None:
    """Start a training and kill it after its first checkpoint."""
    command = f"seqkit train {TINY} model={model} id={model} trainer.checkpoint_every_n_steps=2"
    with (shell.folder / "killed.log").open("w") as log:
        process = subprocess.Popen(command.split(), cwd=shell.folder, env=shell.environment, stdout=log, stderr=log)
    while process.poll() is None and not (shell.folder / f"runs/python_source/{model}/checkpoints/last.ckpt").exists():
        time.sleep(0.01)
    process.kill()
    if process.wait() != -signal.SIGKILL:
        raise CommandError(f"{command} ended before it could be killed:\n{(shell.folder / 'killed.log').read_text()}")
    print(f"         {shell.folder.name}$ {command}   # killed")


def main() -> None:
    """Run all of it, two parts at a time; the first failure is told at the end."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        work = Path(folder)
        binaries = environment(work / "environment")
        shell = Shell(work / "wheel", binaries)
        for name in ("seqkit", "conf", "plugins", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shell.run(f"cp -r {ROOT / name} .")  # building writes beside the source
        shell.run("pip wheel --no-deps --wheel-dir dist . && pip install dist/*.whl && pip check")
        parts = {"page": page, "examples": examples}
        parts |= {kind: partial(new, kind=kind) for kind in ("cell", "model", "head", "task", "data")}
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(part, Shell(work / name, binaries)) for name, part in parts.items()]
        for job in jobs:
            job.result()
        print(f"all of it works; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except CommandError as failed:
        sys.exit(str(failed))

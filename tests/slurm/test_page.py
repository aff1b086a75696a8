"""docs/cluster.md, done: each command of the page, in its order, in one folder, on a SLURM of two nodes.

A ``seqkit`` and a ``torchrun`` first in PATH add options by which there is less to train, and ``wandb``, which would
need an account, only notes what it would upload. All else is as on the page.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from seqkit.runs.metrics_csv import read_metrics
from tests import pages
from tests.slurm.conftest import Job, same, weights
from tests.training.loggers.wandb_files import history

pytestmark = pytest.mark.slurm
NODES = 2
TRAINER = (
    "trainer.val_check_interval=6 trainer.log_every_n_steps=1 trainer.checkpoint_every_n_steps=2 "
    "trainer.accelerator=cpu trainer.dry_run=false data.valid_size=8 data.test_size=8 data.batch_size=8"
)
LESS = {
    "experiment=morse": f"{TRAINER} trainer.max_steps=12 data.train_size=64 model.hidden_size=8",
    "experiment=adding": f"{TRAINER} trainer.max_steps=12 data.train_size=64 data.length=8",
    "verify-resume": "--steps 4 --no-report --points step=3",
}
SCRIPT = """#!/bin/sh
less=
{rules}
for word; do
  case "$word" in *.n_trials=30) word=${{word%0}} ;; esac
  shift
  set -- "$@" "$word"
done
exec {command} "$@" $less
"""
UPLOAD = '#!/bin/sh\nls "$2"/run-*.wandb && echo "$@" >> uploaded\n'


@dataclass
class Named(Job):
    """A job that a command of the page submitted."""

    name: str = ""
    id: str = ""

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}-{self.number}.out"

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "morse" / self.id


@dataclass
class Reader:
    """Does what the page says."""

    folder: Path
    environment: dict[str, str]
    said: str = ""

    def does(self, section: str, may_fail: bool = False, **environment: str) -> str:
        """Run the commands of a section, in a shell; save its scripts; return what was said."""
        said = ""
        for name, block in code(section):
            if name:
                (self.folder / name).write_text(block)
            else:
                said += self.types(block, may_fail, **environment)
        return said

    def types(self, command: str, may_fail: bool = False, **environment: str) -> str:
        done = subprocess.run(
            ["bash", "-c" if may_fail else "-ec", command],
            cwd=self.folder, env={**self.environment, **environment}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        print(f"$ {command}\n{done.stdout}")
        assert may_fail or done.returncode == 0, done.stdout
        return done.stdout

    def submits(self, section: str, *jobs: tuple[str, str], **environment: str) -> list[Named]:
        """Run a section that submits jobs; each has a name, and a run with an id."""
        self.said = self.does(section, True, **environment)
        numbers = re.findall(r"Submitted batch job (\d+)", self.said)
        return [
            Named(number, self.environment, self.folder, name, id)
            for number, (name, id) in zip(numbers, jobs, strict=True)
        ]


def code(section: str) -> list[tuple[str, str]]:
    """Return the indented blocks of a section: the name under which it is to be saved, if it is a script, and its text."""
    body = re.split(r"^## ", pages.CLUSTER.read_text(), flags=re.M)
    [text] = [part for part in body if part.startswith(f"{section}\n")]
    found = []
    for before, block in re.findall(r"(.*)\n\n((?: {4}.*\n|\n(?= {4}))+)", text):
        lines = re.sub(r"^ {4}", "", block, flags=re.M)
        names = re.findall(r"`([\w.]+\.sh)`", before) if lines.startswith("#!") else [""]
        found.append((names[-1], lines))
    return found


@pytest.fixture(scope="module")
def reader(slurm, tmp_path_factory):
    """Return a reader who has installed seqkit as the page says."""
    folder = tmp_path_factory.mktemp("reader")
    # What seqkit needs is taken from here: the download is pip's matter.
    here = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    own = {"HOME": str(folder), "SEQKIT_HOME": str(folder / ".seqkit"), "SEQKIT_PLUGINS": "", "PYTHONPATH": here}
    environment = {**slurm, **own, "OMP_NUM_THREADS": "1"}
    environment.pop("WANDB_API_KEY", None)
    installing = Reader(folder / "seqkit", environment)
    installing.folder.mkdir()
    for name in ("seqkit", "conf", "plugins", "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-r", str(pages.ROOT / name), str(installing.folder)], check=True)
    said = installing.does("Install", PIP_NO_BUILD_ISOLATION="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    shutil.rmtree(installing.folder)

    python = folder / "seqkit-venv" / "bin" / "python"
    scripts = {"seqkit": f"{python} -m seqkit", "torchrun": f"{python} -m torch.distributed.run"}
    rules = "\n".join(f'case "$*" in *{word}*) less="$less {more}" ;; esac' for word, more in LESS.items())
    (folder / "bin").mkdir()
    for name, command in scripts.items():
        (folder / "bin" / name).write_text(SCRIPT.format(rules=rules, command=command))
    (folder / "bin" / "wandb").write_text(UPLOAD)
    for script in (folder / "bin").iterdir():
        script.chmod(0o755)
    return Reader(folder, {**environment, "PATH": f"{folder}/bin:{os.environ['PATH']}"}, said)


def test_install(reader):
    assert "Successfully installed seqkit-" in reader.said


def test_several_devices(reader):
    said = reader.does("Several devices")
    assert "2 ranks by ddp (trainer.devices=2)" in said
    assert "1 rank by fsdp" in said
    assert len([*reader.folder.glob("runs/morse/*/report.json")]) == 3


def test_a_job_is_preempted_and_its_curve_is_whole(reader):
    morse, torch = reader.submits("A job over two nodes", ("morse", "a"), ("torch", "b"), SEQKIT_INTERRUPT="slow=1")
    morse.wait_for_step(2)
    reader.does("Preemption")
    morse.wait_for(f"job {morse.number} is requeued and goes on by itself")
    for job in (morse, torch):
        job.wait_for_end()
        assert f"started them on {NODES} nodes" in job.output
    assert torch.output.count("is requeued") == 0
    reader.types("seqkit train experiment=morse id=whole trainer.devices=2")
    whole = weights(reader.folder / "runs/morse/whole")
    assert same(weights(morse.run), whole)
    assert same(weights(torch.run), whole)

    said = reader.does("Logging to wandb")
    assert "wandb: no API key, so logging offline" in said
    [folder] = (reader.folder / "uploaded").read_text().splitlines()
    [curve] = (reader.folder / folder.removeprefix("sync ")).glob("*.wandb")
    assert [row["step"] for row in history(curve)] == sorted(
        {step for step, *_ in read_metrics(morse.run / "metrics.csv")}
    )


def test_sweeps(reader):
    said = reader.does("Sweeps")
    ledgers = [json.loads(file.read_text())["jobs"] for file in reader.folder.glob("runs/sweeps/*/sweep.json")]
    assert sorted(len(jobs) for jobs in ledgers) == [2, 3, 3, 6]
    assert {job["state"] for jobs in ledgers for job in jobs} == {"finished"}
    assert "sweep runs/sweeps/cells goes on: 6 of 6 jobs are finished" in said


def test_scores_over_ranks(reader):
    said = reader.does("Scores over ranks")
    assert len({*re.findall(r"^model .*", said, re.M)}) == 1
    assert len(re.findall(r"^model .*", said, re.M)) >= 3


def test_verify_resume(reader):
    [late] = reader.submits("verify-resume", ("late", "late"))
    assert re.search(r"^SIGKILL@step=3 .* bit-equal$", reader.said, re.M)
    assert len(re.findall(r"rank 1: process \d+ was killed by SIGKILL", reader.said)) == 1
    late.wait_for_end()
    assert re.search(rf"stopped by SIGUSR1 at step [78], saved; job {late.number} is requeued", late.output)


def test_when_something_goes_wrong(reader):
    said = reader.does("When something goes wrong")
    assert "step 12/12" in said
    assert (reader.folder / "runs/adding/cut/report.json").exists()

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.slurm import cluster
from tests.slurm.conftest import PATIENCE, SLOW, TRAIN, same, weights

pytestmark = pytest.mark.slurm
NODES = 1
USR1 = 1 << (10 - 1)  # bit of SIGUSR1 in /proc/PID/status


def test_a_job_array_of_which_one_task_is_preempted(submit, weights_of_whole_run):
    array = submit("--array=0-2", "--ntasks=1", steps=15)
    tasks = [array.__class__(f"{array.number}_{task}", array.environment, array.folder) for task in range(3)]
    tasks[1].wait_for_step(3)
    tasks[1].preempt()
    tasks[1].wait_for(f"job {tasks[1].number} is requeued")
    for task in tasks:
        task.wait_for_end()
    assert [task.output.count("is requeued") for task in tasks] == [0, 1, 0]
    whole = weights_of_whole_run("trainer.max_steps=15")
    assert all(same(weights(task.run), whole) for task in tasks)


def test_a_job_of_a_sweep_is_preempted(slurm, tmp_path, weights_of_whole_run):
    pytest.importorskip("submitit")
    shutil.copy(SLOW, tmp_path)
    words = "-m hydra/launcher=submitit_slurm seed=1,2,3 id=s trainer.max_steps=15"
    sweep = subprocess.Popen(
        f"{TRAIN} {words}".split(), cwd=tmp_path, env={**slurm, "SLOW": "0.5", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    metrics = tmp_path / "runs/slow/s-1/metrics.csv"
    cluster.wait(lambda: metrics.exists() and metrics.read_text().count("\n") > 3, "step 3 of job 1", PATIENCE)
    [job] = {path.name.partition("_submitted")[0] for path in tmp_path.glob("runs/sweeps/s/submitit/*_1_submitted.pkl")}
    subprocess.run(["scancel", "--signal=USR1", job], env=slurm, check=True)
    _, said = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == 0, said
    log = (tmp_path / f"runs/sweeps/s/submitit/{job}_0_log.err").read_text()
    assert re.search(rf"stopped by SIGUSR1 at step \d+, saved; job {job} is requeued", log)
    ledger = json.loads((tmp_path / "runs/sweeps/s/sweep.json").read_text())
    assert [job["state"] for job in ledger["jobs"]] == ["finished"] * 3
    assert same(weights(metrics.parent), weights_of_whole_run("seed=2", "trainer.max_steps=15"))


def test_scancel_is_final(submit):
    job = submit(steps=1000)
    job.wait_for_step(3)
    job.ask("scancel", job.number)
    job.wait_for_end("CANCELLED")
    cluster.wait(lambda: "stopped by SIGTERM" in job.output, "the last line")
    assert re.search(r"stopped by SIGTERM at step \d+, saved; go on with: seqkit resume runs/slow/", job.output)
    assert "is requeued" not in job.output
    assert job.state == "CANCELLED"


def test_a_signal_before_torch_is_imported(submit):
    job = submit(steps=3)
    cluster.wait(lambda: _listens_without_torch(job.number), "a process that listens", 60)
    job.preempt()
    job.wait_for(f"stopped by SIGUSR1; job {job.number} is requeued")
    job.wait_for_end()
    assert "step 3/3" in job.output


def test_a_job_that_may_not_be_requeued_says_so(submit):
    job = submit("--no-requeue", steps=1000)
    job.wait_for_step(3)
    job.preempt()
    job.wait_for_end("FAILED")
    assert re.search(rf"saved; job {job.number} is not requeued \(.+\); go on with: seqkit resume runs/", job.output)
    assert "ExitCode=75:0" in job.ask("scontrol", "show", "job", job.number)


def test_the_end_of_the_allocation(submit, weights_of_whole_run):
    warned = submit("--time=2", "--signal=USR1@60", steps=250, slow="0.5")
    alone = submit("--time=2", steps=250, slow="0.5")
    warned.wait_for("stopped by SIGUSR1 at step ")
    alone.wait_for("stopped by the end of the allocation at step ")
    for job in (warned, alone):
        job.wait_for(f"job {job.number} is requeued")
        job.wait_for_end()
    whole = weights_of_whole_run("trainer.max_steps=250")
    assert same(weights(warned.run), whole)
    assert same(weights(alone.run), whole)


def _listens_without_torch(job: str) -> bool:
    """Whether the training of a job has installed its handlers, and has not yet loaded torch."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (
                f"SLURM_JOB_ID={job}\0" not in (process / "environ").read_text()
                or b"slow.py" not in (process / "cmdline").read_bytes()
            ):
                continue
            caught = re.search(r"SigCgt:\s*(\w+)", (process / "status").read_text())
            if b"srun" not in (process / "cmdline").read_bytes() and caught and int(caught[1], 16) & USR1:
                assert "libtorch" not in (process / "maps").read_text(), "too late"
                return True
        except OSError:
            continue
    return False

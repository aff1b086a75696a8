import re

import pytest

from tests.slurm import cluster
from tests.slurm.conftest import BIN, TRAIN, same, weights

pytestmark = pytest.mark.slurm
NODES = 2
TWO = ("--nodes=2", "--ntasks-per-node=1")
TORCHRUN = (
    f"export PATH={BIN}:$PATH\n"
    "first=$(scontrol show hostnames $SLURM_JOB_NODELIST | head -n 1)\n"
    "srun torchrun --nnodes=2 --nproc-per-node=1 --rdzv-backend=c10d --rdzv-id=$SLURM_JOB_ID "
    "--rdzv-endpoint=$first:$((20000 + SLURM_JOB_ID % 10000)) --signals-to-handle=SIGTERM,SIGINT,SIGUSR1 "
    "-m " + TRAIN.removeprefix(f"{BIN}/") + " trainer.devices=1"
)


def test_two_ranks_of_which_one_is_slower_are_preempted_five_times(submit, weights_of_whole_run):
    job = submit("--nodes=1", "--ntasks=2", command=f"srun {TRAIN} trainer.devices=2", steps=60, slow="0.02,0.4")
    for times in range(1, 6):
        job.wait_for_step(job.step + 2)
        job.preempt()
        job.wait_for(f"job {job.number} is requeued", times)
    job.wait_for_end()
    assert len(re.findall(r"stopped by SIGUSR1 at step \d+, saved", job.output)) == 5
    assert same(weights(job.run), weights_of_whole_run("trainer.devices=2", "trainer.max_steps=60"))


@pytest.mark.parametrize("command", [f"srun {TRAIN} trainer.num_nodes=2", TORCHRUN], ids=["srun", "torchrun"])
def test_two_nodes_are_preempted(command, submit, weights_of_whole_run):
    job = submit(*TWO, command=command, slow="0.02,0.3")
    job.wait_for_step(3)
    job.preempt()
    job.wait_for(f"job {job.number} is requeued")
    job.wait_for_end()
    assert same(weights(job.run), weights_of_whole_run("trainer.devices=2", "trainer.max_steps=40"))


def test_a_node_is_lost(submit, weights_of_whole_run):
    job = submit(*TWO, command=f"srun {TRAIN} trainer.num_nodes=2 trainer.checkpoint_every_n_steps=5", steps=60)
    job.wait_for_step(12)
    cluster.lose_node("node2")
    cluster.wait(lambda: "Restarts=1" in job.ask("scontrol", "show", "job", job.number), job.output, 300)
    cluster.start_node("node2")
    job.wait_for_end()
    whole = weights_of_whole_run("trainer.devices=2", "trainer.max_steps=60", "trainer.checkpoint_every_n_steps=5")
    assert same(weights(job.run), whole)

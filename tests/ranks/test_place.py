"""Where a process stands, from what started it; and how many ranks a config may ask for there."""

import pytest

from seqkit.errors import ConfigError
from seqkit.ranks.place import Place, first_host, place_here, tasks_per_node, wanted_ranks

SRUN = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_ID": "1",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
}
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "TORCHELASTIC_RESTART_COUNT": "3",
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
    "GROUP_WORLD_SIZE": "2",
    "MASTER_ADDR": "gpu07",
    "MASTER_PORT": "29500",
}


def test_a_process_alone_is_a_group_of_one():
    assert place_here({}) == Place()


def test_a_batch_script_is_no_rank_although_slurm_names_tasks():
    script = {"SLURM_JOB_ID": "77", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
    assert place_here(script).starter == "nobody"


def test_tasks_of_srun():
    place = place_here(SRUN)
    assert (place.rank, place.size, place.local_rank, place.local_size, place.node, place.nodes) == (2, 4, 0, 2, 1, 2)
    assert place.starter == "srun"
    assert place.address[0] == "gpu07"
    assert not place.hosts_store
    assert place_here({**SRUN, "SLURM_PROCID": "0", "SLURM_NODEID": "0"}).hosts_store


def test_two_steps_and_two_jobs_of_slurm_do_not_share_a_port():
    ports = [
        place_here({**SRUN, "SLURM_JOB_ID": job, "SLURM_STEP_ID": step}).address[1]
        for job in ("77", "78")
        for step in ("0", "1")
    ]
    assert len(set(ports)) == 4
    assert all(1024 < port < 65536 for port in ports)


def test_the_user_names_host_and_port_in_slurm():
    place = place_here({**SRUN, "MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "4000"})
    assert place.address == ("10.0.0.7", 4000)


def test_ranks_of_torchrun_and_their_restarts():
    place = place_here(TORCHRUN)
    assert (place.rank, place.size, place.local_rank, place.local_size, place.node, place.nodes) == (3, 4, 1, 2, 1, 2)
    assert place.address == ("gpu07", 29500)
    assert place.start == "3"
    assert not place_here({**TORCHRUN, "RANK": "0"}).hosts_store
    assert place_here({**TORCHRUN, "RANK": "0", "TORCHELASTIC_USE_AGENT_STORE": "False"}).hosts_store


def test_an_environment_that_says_it_in_part_is_refused():
    with pytest.raises(ConfigError, match="WORLD_SIZE"):
        place_here({name: value for name, value in TORCHRUN.items() if name != "WORLD_SIZE"})


@pytest.mark.parametrize(
    ("text", "counts"), [("2", [2]), ("2(x3)", [2, 2, 2]), ("2(x2),1", [2, 2, 1]), ("1,3(x2)", [1, 3, 3])]
)
def test_tasks_per_node(text, counts):
    assert tasks_per_node(text) == counts


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("login", "login"), ("a,b", "a"), ("gpu[07-09,12],login", "gpu07"), ("a,gpu[1-2]", "a"), ("r[3,5]n", "r3n")],
)
def test_first_host(nodes, first):
    assert first_host(nodes) == first


ALONE = Place()


def wanted(place=ALONE, **options):
    return wanted_ranks({"devices": 1, "num_nodes": 1, "accelerator": "cpu", **options}, place)


def test_ranks_that_a_config_asks_for():
    assert wanted() == 1
    assert wanted(devices=3) == 3
    assert wanted(devices="auto") == 1
    assert wanted(place_here(SRUN), devices="auto") == 4
    assert wanted(place_here(SRUN), devices=2, num_nodes=2) == 4


@pytest.mark.parametrize(
    ("place", "options", "said"),
    [
        (Place(), {"num_nodes": 2}, "start seqkit on every node by"),
        (
            place_here(SRUN),
            {},
            "srun started 4 ranks on 2 nodes, but trainer.devices=1; say trainer.devices=2, or auto",
        ),
        (place_here(TORCHRUN), {"devices": "auto", "num_nodes": 3}, "but trainer.num_nodes=3; say trainer.num_nodes=2"),
        (place_here({**SRUN, "SLURM_STEP_TASKS_PER_NODE": "3,1"}), {"devices": 1}, "not as many on each"),
    ],
)
def test_ranks_that_were_not_started_are_refused(place, options, said):
    with pytest.raises(ConfigError, match=said):
        wanted(place, **options)

"""A SLURM of one or more nodes on this machine, for tests: no systemd, no cgroups, no accounting.

    python -m tests.slurm.cluster up 2     # node1 and node2; prints the line to export
    python -m tests.slurm.cluster down

As root, with Debian's slurm 22.05 or newer, which allows several slurmd on one machine; apt brings it where it is
missing. The nodes share files, /tmp and ports; each has a host name and a loopback address of its own where
``unshare --uts`` is allowed. Ports are fixed, so there is one cluster at a time.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FOLDER = Path(os.environ.get("SEQKIT_SLURM", "/tmp/seqkit-slurm"))
CONF = FOLDER / "slurm.conf"
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
HOSTS = Path("/etc/hosts")
MARK = "# seqkit-slurm"
CPUS = 4  # that each node claims, so that its tasks start at once, however few there are
NO_GPUS = ("null", "zero", "full")  # devices that SLURM hands out as GPUs
PATIENCE = 120.0


class Unavailable(Exception):  # noqa: N818
    """Why no cluster can be brought up here."""


def up(nodes: int) -> dict[str, str]:
    """Bring up a cluster afresh and return the environment of its commands.

    Raises:
        Unavailable: It cannot be, on this machine.
    """
    if os.geteuid() != 0:
        raise Unavailable("needs root, for munge and slurmd")
    _install()
    down()
    for name in ("state", "spool", "log", "run"):
        (FOLDER / name).mkdir(parents=True)
    _start_munge()
    host = _output("hostname", "-s")
    own = nodes > 1 and _succeeds("unshare", "--uts", "true")
    names = [f"node{number}" for number in range(1, nodes + 1)] if nodes > 1 else [host]
    addresses = [f"127.0.1.{100 + number}" if own else "127.0.0.1" for number in range(1, nodes + 1)]
    if nodes > 1:
        with HOSTS.open("a") as file:
            file.writelines(f"{address} {name} {MARK}\n" for address, name in zip(addresses, names, strict=True))
    CONF.write_text(_conf(host, names, addresses))
    CONF.with_name("gres.conf").write_text("".join(f"Name=gpu File=/dev/{device}\n" for device in NO_GPUS))
    _check("slurmctld", "-f", CONF)
    for name in names:
        start_node(name, own)
    wait(
        lambda: _output("sinfo", "-h", "-N", "-p", "debug", "-o", "%T").split() == ["idle"] * nodes,
        f"idle nodes, see {FOLDER}/log",
    )
    return environment()


def environment() -> dict[str, str]:
    """Return the environment in which the commands of SLURM find the cluster."""
    return {**os.environ, "SLURM_CONF": str(CONF)}


def start_node(name: str, own: bool = True) -> None:
    """Start the daemon of a node."""
    daemon = ["slurmd", "-f", str(CONF), "-N", name]
    if own and name.startswith("node"):
        _check("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name, *daemon)
    else:
        _check(*daemon)


def lose_node(name: str) -> None:
    """End a node as a power cut would: its daemon, and every process that it started."""
    daemon = int((FOLDER / "run" / f"slurmd-{name}.pid").read_text())
    host = os.readlink(f"/proc/{daemon}/ns/uts")
    _kill(daemon)
    for step in _steps():
        if os.readlink(f"/proc/{step}/ns/uts") == host:
            for process in [step, *_children(step)]:
                _kill(process)


def down() -> None:
    """Cancel the jobs, end the daemons, take the names of the nodes out again."""
    if CONF.exists():
        subprocess.run(["scancel", "--user=root"], env=environment(), capture_output=True, timeout=60)
        daemons = [
            process
            for process, words in _processes()
            if Path(words[0]).name in ("slurmctld", "slurmd") and str(CONF) in words
        ]
        for process in [*daemons, *(each for step in _steps() for each in [step, *_children(step)])]:
            _kill(process)
    if HOSTS.exists() and MARK in HOSTS.read_text():
        rest = "".join(line for line in HOSTS.read_text().splitlines(True) if MARK not in line)
        HOSTS.write_text(rest)  # in place: in a container it is mounted
    shutil.rmtree(FOLDER, ignore_errors=True)


def wait(until: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait for an event; fail where it does not come."""
    deadline = time.monotonic() + patience
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:.0f} s for {what}")
        time.sleep(0.2)


def _conf(host: str, names: list[str], addresses: list[str]) -> str:
    lines = [
        f"NodeName={name} NodeHostname={host} NodeAddr={address} Port={16818 + number} CPUs={CPUS} Gres=gpu:{len(NO_GPUS)} State=UNKNOWN"
        for number, (name, address) in enumerate(zip(names, addresses, strict=True))
    ]
    return f"""ClusterName=seqkit
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5  # a requeued job waits this long and not two minutes
CredType=cred/munge
StateSaveLocation={FOLDER}/state
SlurmdSpoolDir={FOLDER}/spool/%n
SlurmctldPidFile={FOLDER}/run/slurmctld.pid
SlurmdPidFile={FOLDER}/run/slurmd-%n.pid
SlurmctldLogFile={FOLDER}/log/slurmctld.log
SlurmdLogFile={FOLDER}/log/slurmd-%n.log
SlurmctldPort=16817
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
JobRequeue=1
KillWait=30
SlurmdTimeout=20
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP
""" + "".join(f"{line}\n" for line in lines)


def _install() -> None:
    if all(map(shutil.which, ("slurmctld", "slurmd", "sbatch", "munged"))):
        return
    if not shutil.which("apt-get"):
        raise Unavailable("slurm is not installed, and there is no apt-get to bring it")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *words], env=quiet, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"apt-get {words[0]} fails: {done.stderr.strip().splitlines()[-1:]}")


def _start_munge() -> None:
    if _succeeds("munge", "-n"):
        return
    for folder in map(Path, ("/run/munge", "/var/log/munge", "/var/lib/munge", "/etc/munge")):
        folder.mkdir(exist_ok=True)
        shutil.chown(folder, "munge", "munge")
        folder.chmod(0o755 if folder == Path("/run/munge") else 0o700)
    key = Path("/etc/munge/munge.key")
    if not key.exists():
        _check("mungekey")
    shutil.chown(key, "munge", "munge")
    _check("runuser", "-u", "munge", "--", "munged")


def _processes() -> list[tuple[int, list[str]]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            except OSError:
                continue
            if words[0]:
                found.append((int(entry.name), words))
    return found


def _steps() -> list[int]:
    """Return the processes by which this cluster, and no other on this machine, looks after its jobs."""
    own = f"SLURM_CONF={CONF}".encode()
    return [
        process
        for process, words in _processes()
        if words[0].startswith("slurmstepd") and own in Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    ]


def _children(process: int) -> list[int]:
    try:
        own = [
            int(child)
            for task in Path(f"/proc/{process}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return [each for child in own for each in [child, *_children(child)]]


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _check(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment())
    if done.returncode:
        raise Unavailable(f"{command[0]} fails: {done.stderr.strip()}")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, env=environment()).stdout.strip()


if __name__ == "__main__":
    if sys.argv[1:2] == ["up"]:
        up(int((*sys.argv[2:], "1")[0]))
        print(f"export SLURM_CONF={CONF}")
    else:
        down()

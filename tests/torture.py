"""Two ranks killed at random moments, each time simply started again: the outcome is that of an uninterrupted run.

    make torture        # 300 steps, 25 SIGKILLs on one rank, on the parent or on all; some 15 minutes on two idle cores

After each kill nothing of the job may be left after LEFT_BY seconds.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from seqkit import interrupting
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder
from seqkit.verifying.comparing import first_difference
from tests.verify_grid import data

RANKS = 2
MARK = "SEQKIT_TORTURE"
LEFT_BY = 15.0


class Job:
    """One start of ``seqkit train``.

    Args:
        words: That follow ``seqkit``.
        log: File that its output is added to.
    """

    def __init__(self, words: list[str], log: Path) -> None:
        self.mark = f"{MARK}={time.monotonic_ns()}".encode()
        name, _, value = self.mark.decode().partition("=")
        environment = {**os.environ, name: value, interrupting.VARIABLE: "slow=0.02", "OMP_NUM_THREADS": "1"}
        with log.open("a") as file:
            command = [sys.executable, "-m", "seqkit", *words]
            self.process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)

    def processes(self) -> dict[int, str]:
        """Return what still runs of the job: "parent", "0", "1", or "" for other processes, by process id."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                variables = (place / "environ").read_bytes().split(b"\0")
                state = (place / "stat").read_text().rpartition(")")[2].split()[0]
                if self.mark in variables and state != "Z":
                    is_rank = b"seqkit.ranks" in (place / "cmdline").read_bytes().split(b"\0")
                    rank = next((one.decode()[5:] for one in variables if one.startswith(b"RANK=")), "")
                    is_parent = int(place.name) == self.process.pid
                    found[int(place.name)] = "parent" if is_parent else rank if is_rank else ""
        return found

    def wait_until(self, reached: Callable[[], bool]) -> bool:
        """Wait for something to be reached; False where the job ends before."""
        while not reached():
            if self.process.poll() is not None:
                return False
            time.sleep(0.002)
        return True

    def kill(self, target: str) -> None:
        """Send SIGKILL to one rank, to the parent, or to all."""
        for pid, role in self.processes().items():
            if target in ("all", role):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def seconds_to_end(self) -> float:
        """Wait until nothing of the job is left and return how long that took; raises where it takes too long."""
        started = time.monotonic()
        while left := self.processes():
            self.process.poll()
            if time.monotonic() - started > LEFT_BY:
                raise SystemExit(f"left after {LEFT_BY} s: {left}")
            time.sleep(0.02)
        self.process.wait()
        return time.monotonic() - started


def step_of(run: RunFolder) -> int:
    """Return the last step in ``metrics.csv``, 0 where there is none."""
    with suppress(OSError, ValueError):
        return int(run.metrics_csv.read_text().rpartition("\n")[0].rpartition("\n")[2].partition(",")[0])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    words = [
        "train", *data("text", folder), "model=lstm", "model.hidden_size=6", "model.num_layers=2", "model.dropout=0.3",
        "trainer.accelerator=cpu", f"trainer.devices={RANKS}", "trainer.num_workers=1", "name=torture",
        f"trainer.max_steps={arguments.steps}", "trainer.val_check_interval=40", "trainer.checkpoint_every_n_steps=7",
        "trainer.log_every_n_steps=1", f"runs={folder}",
    ]  # fmt: skip
    whole, killed = (RunFolder(folder / "torture" / name) for name in ("whole", "killed"))
    if Job([*words, "id=whole"], folder / "whole.txt").process.wait():
        raise SystemExit(f"the uninterrupted run failed: {folder / 'whole.txt'}")
    # How long the start of a job takes, of which a quarter of the kills hit some moment.
    targets, slowest, starting = Counter[str](), 0.0, 0
    start_up = 5.0
    average = arguments.steps / arguments.kills
    for number in range(1, arguments.kills + 1):
        started = time.monotonic()
        job = Job([*words, "id=killed"], folder / "killed.txt")
        first = Checkpoint.read(killed.last).step if killed.last.exists() else 0
        target = draw.choice(["0", "1", "parent", "all"])
        in_start = draw.random() < 0.25
        goal = first + round(draw.uniform(1, 2 * average))
        if in_start:
            until = started + draw.uniform(0, start_up)
            going = job.wait_until(lambda until=until: time.monotonic() >= until)
        else:
            before = killed.metrics_csv.stat().st_mtime_ns if killed.metrics_csv.exists() else 0
            going = job.wait_until(
                lambda before=before: killed.metrics_csv.exists() and killed.metrics_csv.stat().st_mtime_ns != before
            )
            start_up = time.monotonic() - started
            going = going and job.wait_until(lambda goal=goal: step_of(killed) >= goal)
            time.sleep(draw.uniform(0, 0.03))
        at = step_of(killed)
        job.kill(target)
        seconds = job.seconds_to_end()
        slowest, starting = max(slowest, seconds), starting + in_start
        targets[target if going else "ended before"] += 1
        moment = "while starting" if in_start else f"at step {at}"
        print(f"{number}: from step {first}, {moment}, SIGKILL to {target}: all gone after {seconds:.1f} s", flush=True)
    if code := Job([*words, "id=killed"], folder / "killed.txt").process.wait():
        raise SystemExit(f"started once more, it ended with exit code {code}: {folder / 'killed.txt'}")
    difference = first_difference(whole, killed)
    counts = ", ".join(f"{target} {count}" for target, count in sorted(targets.items()))
    print(f"{arguments.kills} SIGKILLs ({counts}; {starting} while starting); slowest end {slowest:.1f} s")
    print(difference or f"bit-equal to the uninterrupted run after {arguments.steps} steps")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())

"""Jobs on a cluster, submitted by submitit, which is imported where it is chosen only."""

import getpass
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from seqkit import slurm
from seqkit.config import Config
from seqkit.errors import ConfigError, Stopped, one_line, shown
from seqkit.plugins.named import VARIABLE
from seqkit.stopping import REQUEUING, StopRequest
from seqkit.sweeping import job
from seqkit.sweeping.job import Flags, Outcome
from seqkit.sweeping.runners import Task, refuse_on_ranks

POLL = 1.0
"""Seconds between two looks for results."""
ASK = 10.0
"""Seconds between two questions to SLURM."""
GONE = 3
"""Answers without a job, and no result of it, after which it is lost: a network file system shows files late."""
EVERYWHERE = ("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes")
"""Options that submitit takes without the name of the cluster before them."""

State = Literal["waiting", "running", "gone", "unknown"]


class Submitit:
    """A job of SLURM for each job of the sweep, or, to try it, a process that submitit starts here.

    Args:
        cluster: ``slurm`` or ``local``.
        options: As in submitit's ``AutoExecutor``, without ``slurm_``; null leaves one to the cluster.
    """

    in_sight: ClassVar[bool] = False

    def __init__(self, cluster: str, options: dict[str, Any]) -> None:
        self.cluster = cluster
        self.options = {
            name if name in EVERYWHERE else f"{cluster}_{name}": value
            for name, value in options.items()
            if value is not None
        }

    def __call__(
        self, tasks: Sequence[Task], flags: Flags, started: Callable[[int, str], None]
    ) -> Generator[tuple[int, Outcome], None, None]:
        refuse_on_ranks()
        if not tasks:
            return
        waiting = {task.number: submitted for task, submitted in zip(tasks, self._submit(tasks, flags), strict=True)}
        running: set[int] = set()
        absent = dict.fromkeys(waiting, 0)
        asked = float("-inf")
        try:
            while waiting:
                states: dict[str, State] = {}
                if self.cluster == "local" or time.monotonic() - asked > ASK:
                    states, asked = self._states(waiting.values()), time.monotonic()
                for number, submitted in list(waiting.items()):
                    state = states.get(submitted.job_id, "unknown")
                    has_result = submitted.paths.result_pickle.exists()
                    if number not in running and (state == "running" or has_result):
                        running.add(number)
                        started(number, f"job {submitted.job_id}, output in {shown(submitted.paths.stderr)}")
                    absent[number] = (
                        absent[number] + 1 if state == "gone" else 0 if state != "unknown" else absent[number]
                    )
                    if has_result or absent[number] >= GONE:
                        del waiting[number]
                        yield number, _outcome(submitted, has_result)
                time.sleep(POLL)
        except BaseException:
            self._stop(list(waiting.values()))
            raise

    def _submit(self, tasks: Sequence[Task], flags: Flags) -> list[Any]:
        # The signal before the end of the allocation, and submitit's own for a requeue, which we answer in its place.
        os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "USR1"
        try:
            import submitit
            from submitit.core.utils import FailedJobError
        except ImportError:
            raise ConfigError(
                f"hydra/launcher=submitit_{self.cluster} needs submitit: pip install 'seqkit[submitit]'"
            ) from None
        try:
            executor = submitit.AutoExecutor(tasks[0].log.parent / "submitit", cluster=self.cluster)
            executor.update_parameters(name=f"seqkit-{tasks[0].log.parent.name}", **self.options)
            with _ctrl_c_is_ours(), executor.batch():
                return [executor.submit(on_cluster, task.config, flags, os.environ.get(VARIABLE, "")) for task in tasks]
        except (RuntimeError, ValueError, TypeError, NameError, AssertionError, FailedJobError) as error:
            raise ConfigError(f"hydra/launcher=submitit_{self.cluster}: {one_line(error)}") from None

    def _states(self, submitted: Any) -> dict[str, State]:
        """Return the states of jobs by their ids; all are unknown where SLURM does not answer."""
        if self.cluster == "local":
            return {one.job_id: "running" if one.state == "RUNNING" else "gone" for one in submitted}
        command = ["squeue", "--noheader", "--array", "--format=%i %T", f"--user={getpass.getuser()}"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            return {}
        states = dict(line.split() for line in done.stdout.splitlines())
        return {
            one.job_id: "gone"
            if one.job_id not in states
            else "running"
            if states[one.job_id] == "RUNNING"
            else "waiting"
            for one in submitted
        }

    def _stop(self, submitted: list[Any]) -> None:
        """End jobs, which save first, and wait until all have; a second signal leaves them to themselves."""
        for one in submitted:
            if self.cluster == "local":
                one._process.send_signal(signal.SIGTERM)  # cancel() would allow one second for saving
            else:
                subprocess.run(["scancel", one.job_id], stdin=subprocess.DEVNULL, check=False)
        while submitted:
            states = self._states(submitted)
            submitted = [one for one in submitted if states.get(one.job_id) != "gone"]
            time.sleep(POLL)


def on_cluster(config: Config, flags: Flags, plugins: str) -> Outcome:
    """Run a job where submitit has started it; after a stop that is to be followed by another start, requeue it.

    Args:
        config: Of the run.
        flags: Of the sweep's start.
        plugins: Names of plugins, as in ``SEQKIT_PLUGINS``, which a cluster may not have passed on.
    """
    import submitit

    os.environ[VARIABLE] = plugins
    request = StopRequest()
    try:
        with request.listening():
            return job.run(config, flags)
    except Stopped as stopped:
        # SIGTERM after SIGUSR1 is final.
        again = (request.name or stopped.reason) in REQUEUING and config["trainer"]["requeue"]
        environment, end = submitit.JobEnvironment(), ""
        if again and environment.cluster == "slurm":
            refusal = slurm.requeue()
            end = f"; job {slurm.job()} is " + (f"not requeued ({refusal})" if refusal else "requeued")
        print(f"seqkit: {stopped}{end}", file=sys.stderr, flush=True)
        if again and environment.cluster == "local":
            environment._requeue(0)
        sys.exit(stopped.code)  # no result: submitit waits for that of the next start
    except KeyboardInterrupt:
        return Outcome("stopped")


def _outcome(submitted: Any, has_result: bool) -> Outcome:
    if not has_result:
        return Outcome("stopped", f"job {submitted.job_id} ended without a result, its log: {submitted.paths.stderr}")
    kind, result = submitted._get_outcome_and_result()
    if kind == "error":
        return Outcome("failed", f"job {submitted.job_id}: {result.strip().splitlines()[-1]}")
    assert isinstance(result, Outcome)
    return result


@contextmanager
def _ctrl_c_is_ours() -> Iterator[None]:
    """Let the processes that are started here ignore the terminal's SIGINT, which submitit follows with a SIGKILL."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

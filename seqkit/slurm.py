"""The SLURM job that this process runs in: its end, and how it is put back into the queue.

Lightning's own handling of SLURM stays off: each rank acts on the signal alone, and hangs where one is slower.
"""

import os
import signal
import subprocess
import threading
import time

ANSWERS_WITHIN = 30.0  # seconds for a command of SLURM's


def job() -> str:
    """Return the job as SLURM's commands take it, JOB or ARRAYJOB_TASK; "" outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def is_requeued(first: str) -> bool:
    """Whether this process is a later start of the job ``first``, as ``job`` returned it in an earlier one."""
    return bool(first) and first == job() and os.environ.get("SLURM_RESTART_COUNT", "0") not in ("", "0")


def seconds_left() -> float | None:
    """Return the seconds to the job's time limit as it is now; None where there is no limit, or it is not told."""
    if not job():
        return None
    try:
        # By the number that every job has, a task of an array too; the limit may have been changed since the start.
        command = ["squeue", "--noheader", f"--jobs={os.environ['SLURM_JOB_ID']}", "--format=%e"]
        told = _answer(command, SLURM_TIME_FORMAT="%s")
    except (OSError, KeyError, subprocess.SubprocessError):
        told = os.environ.get("SLURM_JOB_END_TIME", "")
    try:
        return int(told) - time.time()
    except ValueError:  # N/A
        return None


def requeue() -> str:
    """Put the job back into the queue; return why SLURM refuses that, or "".

    SLURM then ends what is left of the job's processes, this one included: it may only print a last line.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)  # scontrol, a child of this process, ignores them too
    try:
        _answer(["scontrol", "requeue", job()])
    except subprocess.CalledProcessError as error:
        return " ".join(error.stderr.split()) or f"scontrol ends with {error.returncode}"
    except (OSError, subprocess.SubprocessError) as error:
        return " ".join(str(error).split())
    return ""


def _answer(command: list[str], **environment: str) -> str:
    """Run a command of SLURM's and return what it prints."""
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ANSWERS_WITHIN,
        check=True,
    )
    return done.stdout.strip()

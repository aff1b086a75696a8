"""One job of a sweep, from its resolved config to its outcome: in this process, or in one of its own.

``python -m seqkit.sweeping.job`` reads the job as one line of JSON from its standard input and writes its outcome as
one line to its standard output; all else that it prints goes to its standard error. It stops when its standard input
ends, which it does when the process that started it is gone, however that ended.
"""

import json
import os
import signal
import sys
import threading
import traceback
from dataclasses import asdict, dataclass
from typing import Literal

from seqkit.config import Config
from seqkit.errors import SeqkitError, Stopped, one_line
from seqkit.stopping import MAX_TIME, StopRequest, current


@dataclass(frozen=True)
class Flags:
    """How a job is started; see ``experiment.train``."""

    fresh: bool = False
    exact: bool = False
    changed_code: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Args:
        state: As in the ledger.
        refusal: Why it failed, in one line.
    """

    state: Literal["finished", "failed", "stopped"]
    refusal: str = ""


def run(config: Config, flags: Flags) -> Outcome:
    """Train a run, which leaves its report in its folder.

    On ranks that srun or torchrun started, whatever ends a job ends the sweep: the others are in the middle of it.

    Raises:
        Stopped: A signal, or the end of the allocation, asked for a stop.
        KeyboardInterrupt: The same, outside the training.
    """
    from seqkit.experiment import train
    from seqkit.faults import fault
    from seqkit.ranks import group

    if group().place.starter != "nobody":
        train(config, flags.fresh, flags.exact, flags.changed_code)
        return Outcome("finished")
    try:
        train(config, flags.fresh, flags.exact, flags.changed_code)
        return Outcome("finished")
    except Stopped as stopped:
        if stopped.reason != MAX_TIME:  # which is the job's own, not the sweep's
            raise
        current().name = ""
        return Outcome("stopped", one_line(stopped))
    except SeqkitError as error:
        return Outcome("failed", one_line(error))
    except (Exception, SystemExit) as error:
        refusal = fault(error)
        if refusal is None:
            traceback.print_exc()
        return Outcome("failed", one_line(refusal) if refusal else f"{type(error).__name__}: {one_line(error)}")


def main() -> None:
    """Run the job that standard input describes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is printed from here on is no answer
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_with_the_sweep, daemon=True).start()
    try:
        with StopRequest().listening():
            outcome = run(job["config"], Flags(**job["flags"]))
    except (Stopped, KeyboardInterrupt) as stop:
        outcome = Outcome("stopped", one_line(stop))
    with answers:
        print(json.dumps(asdict(outcome)), file=answers)


def _stop_with_the_sweep() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # as in seqkit.__main__
    main()

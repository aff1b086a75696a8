"""One of the ranks that seqkit starts on this machine; see ``launch``.

    python -m seqkit.ranks MODULE:FUNCTION ARGUMENTS

ARGUMENTS are keyword arguments as JSON.
"""

import ctypes
import json
import os
import signal
import sys

from seqkit.errors import Stopped
from seqkit.ranks.place import STARTED_BY
from seqkit.stopping import StopRequest

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(function: str, arguments: str) -> int:
    """Do the part of this rank and return its exit code."""
    _end_with_parent()
    with StopRequest().listening():
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())  # held until there was an answer to them
            from seqkit.ranks import place_here
            from seqkit.ranks.ending import exit_code, leave
            from seqkit.ranks.parts import do

            leave(exit_code(place_here(), lambda: do(function, json.loads(arguments))))
        except Stopped as stopped:
            return stopped.code
        except KeyboardInterrupt:
            return 130


def _end_with_parent() -> None:
    """Let the kernel end this process when the one that started it is gone, however that went."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ[STARTED_BY]):  # before it could be asked
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

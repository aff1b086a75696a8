"""How a rank ends when something goes wrong: the cause is said once, by the rank that has it, and all end by it."""

import atexit
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from torch import distributed as dist

from seqkit.errors import SeqkitError, Stopped, one_line
from seqkit.ranks.group import LostError, connected, shared_store
from seqkit.ranks.heart import GONE, GRACE, End, Heart
from seqkit.ranks.place import Place

LOG = logging.getLogger("seqkit")
LOST = GONE + 3  # seconds in which a rank that has lost another learns why


def exit_code(place: Place, part: Callable[[], int | None], last_words: Callable[[End], object] | None = None) -> int:
    """Do this rank's part within the group of all ranks and return its exit code.

    A rank that fails says so to the others, which end too; one that has only lost another is quiet.

    Args:
        place: Of this process.
        part: Returns an exit code, or None for 0.
        last_words: Said by rank 0 where a stop ends it in a collective, from which nothing can be raised.

    Raises:
        Stopped: On rank 0, where no other process started the ranks that could answer it.
    """
    heart: Heart | None = None
    try:
        heart = Heart(place, shared_store(place), last_words)
        heart.start()
        with connected(heart):
            return part() or 0
    except BaseException as error:
        if isinstance(error, Stopped) and (heart is None or heart.stopped or not _may_be_lost(error)):
            if heart is not None:
                agreed = heart.stopped
                heart.end(_reason(place, error))
                heart.stop()
                if not agreed:
                    _keep_store(place)
            if place.rank == 0 and place.starter != "seqkit":
                raise
            return error.code
        _ignore_signals()  # where a rank is gone, a launcher asks the others to stop
        if heart is None:
            end = _reason(place, error)
            print(f"seqkit: {end.text}", file=sys.stderr)
            return end.code
        end = (heart.ended(LOST) if _may_be_lost(error) else None) or heart.end(_reason(place, error))
        heart.stop()
        if end.signal and last_words is not None:
            last_words(end)
        _keep_store(place)
        logging.shutdown()
        _exit(end.code)  # what is left of the process group would wait for ranks that are gone


def leave(code: int) -> NoReturn:
    """End the process of a rank that is done, once all that is registered for its end is done too.

    The interpreter is not taken down. A thread of gloo may still hold tensors of the last collective, and asks for the
    interpreter's lock to free them; where that is too late, the thread aborts the process.
    """
    atexit._run_exitfuncs()
    _exit(code)


def _exit(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # a reader that is gone
            stream.flush()
    os._exit(code)


def _may_be_lost(error: BaseException) -> bool:
    """Whether a collective may have failed, as it does where another rank is gone."""
    cause: BaseException | None = error
    if isinstance(error, SeqkitError):  # a plugin is blamed whose network was in a collective, as with FSDP
        cause = error.__cause__
    elif isinstance(error, Stopped):
        cause = error.__context__
    return isinstance(cause, LostError | dist.DistError) or any(name in str(cause) for name in ("gloo", "NCCL"))


def _reason(place: Place, error: BaseException) -> End:
    if isinstance(error, Stopped):
        return End(place.rank, str(error), error.code, error.reason, error.step)
    if isinstance(error, SeqkitError):
        return End(place.rank, one_line(error))
    if isinstance(error, KeyboardInterrupt):
        return End(place.rank, "interrupted", 130)
    LOG.error("rank %d failed", place.rank, exc_info=error)
    return End(place.rank, f"{type(error).__name__}: {one_line(error)}")


def _keep_store(place: Place) -> None:
    """Give the others time to read why the job ends, where the store is in this process."""
    if place.hosts_store and place.size > 1:
        time.sleep(GRACE)


def _ignore_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)

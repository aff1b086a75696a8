"""How a rank ends when something goes wrong: the cause is said once, by the rank that has it, and all end by it."""

import logging
import os
import sys
from collections.abc import Callable

from seqkit.errors import SeqkitError, Stopped, one_line
from seqkit.ranks.group import connected
from seqkit.ranks.heart import GONE, End, Heart
from seqkit.ranks.place import Place

LOG = logging.getLogger("seqkit")
LOST = GONE + 3  # seconds in which a rank that has lost another learns why


def exit_code(place: Place, part: Callable[[], object]) -> int:
    """Do this rank's part within the group of all ranks and return its exit code.

    A rank that fails says so to the others, which end too; one that has only lost another is quiet.

    Raises:
        Stopped: On rank 0, where no other process started the ranks that could answer it.
    """
    heart: Heart | None = None
    try:
        with connected(place) as group:
            heart = group.heart
            part()
        return 0
    except Stopped as stopped:
        end = End(place.rank, str(stopped), stopped.code, stopped.reason, stopped.step)
        if heart and place.rank == 0 and place.starter != "seqkit":
            heart.end(end)
            raise
    except SeqkitError as error:
        end = End(place.rank, one_line(error))
    except KeyboardInterrupt:
        end = End(place.rank, "interrupted", 130)
    except Exception as error:
        # A collective fails, as a RuntimeError, where another rank is gone.
        known = heart.ended(LOST) if heart and isinstance(error, RuntimeError) else None
        if known is None:
            LOG.error("rank %d failed", place.rank, exc_info=error)
        end = known or End(place.rank, f"{type(error).__name__}: {one_line(error)}")
    if heart is None:
        print(f"seqkit: {end.text}", file=sys.stderr)
        return end.code
    code = heart.end(end).code
    if not end.signal:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)  # at once: what is left of the process group would wait for ranks that are gone
    return code

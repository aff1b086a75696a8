"""The log of a run: what seqkit says, on the terminal and in ``train.log``."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = logging.getLogger("seqkit")


class _LogFile(logging.FileHandler):
    """The run's log; what cannot be written, on a full disk, is left out."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        pass


@contextmanager
def logging_to(path: Path, terminal: bool = True) -> Iterator[None]:
    """Send seqkit's log to a file of the run and the terminal, and Lightning's chatter nowhere.

    Args:
        path: The file.
        terminal: Whether it goes to the terminal too.
    """
    path.parent.mkdir(exist_ok=True)
    file = _LogFile(path)
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    handlers: list[logging.Handler] = [file]
    if terminal:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[-1].setLevel(logging.INFO)  # the file has the tracebacks too
    before = LOG.level, LOG.propagate
    LOG.setLevel(logging.DEBUG)
    LOG.propagate = False
    LOG.disabled = False  # Hydra disables loggers that it does not know
    quiet_lightning()
    for handler in handlers:
        LOG.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            LOG.removeHandler(handler)
            handler.close()
        LOG.setLevel(before[0])
        LOG.propagate = before[1]


def quiet_lightning() -> None:
    """Let Lightning log warnings only."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)

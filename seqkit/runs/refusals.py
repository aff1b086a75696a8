"""What can go wrong in a run, as refusals of one line: its disk, its data, its plugins."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seqkit.errors import DataError, PluginError, SeqkitError, TrainingError, shown
from seqkit.faults import fault
from seqkit.files import DISK, disk_reason
from seqkit.runs.folder import RunFolder

LOG = logging.getLogger("seqkit")


@contextmanager
def one_line_about_the_disk(run: RunFolder) -> Iterator[None]:
    """Turn a disk that is full or cannot be written into a refusal of one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK:
            raise
        saved = f"its last checkpoint is whole: `seqkit resume {shown(run.path)}`" if run.last.exists() else ""
        place = error.filename or run.path
        raise TrainingError(
            f"{place}: cannot be written ({disk_reason(error)}); {saved or 'nothing was saved yet'}"
        ) from None


@contextmanager
def faults_in_one_line(run: RunFolder) -> Iterator[None]:
    """Turn an exception of a plugin into a refusal of one line; the traceback of any exception goes to ``train.log``.

    An exception without a line of a plugin is seqkit's own fault, and is raised as it is. A plugin that calls
    ``sys.exit`` would end the training without a word.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        cause = error.__cause__ if isinstance(error, SeqkitError) else error
        if cause is None:
            raise
        LOG.debug("%s", error, exc_info=cause)
        trace = f"its traceback is in {shown(run.train_log)}"
        if isinstance(error, torch.OutOfMemoryError):
            raise TrainingError(
                f"the GPU's memory is full; make data.batch_size or the model smaller; {trace}"
            ) from error
        if isinstance(error, SeqkitError):
            raise type(error)(f"{error}; {trace}") from cause
        refusal = fault(error)
        if refusal is None or (isinstance(error, OSError) and error.errno in DISK):
            raise
        raise PluginError(f"{refusal}; {trace}") from error


@contextmanager
def reading_of_data() -> Iterator[None]:
    """Turn a file of the data that cannot be read into a refusal of one line."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or 'the data'}: cannot be read ({disk_reason(error)})") from None

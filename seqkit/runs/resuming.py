"""The checkpoint that a run goes on from, and the reason where there is none."""

import logging

from seqkit.errors import TrainingError
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder

LOG = logging.getLogger("seqkit")


def checkpoint_to_continue(run: RunFolder) -> Checkpoint | None:
    """Return the checkpoint to go on from; None where nothing was saved yet.

    The best checkpoint holds all that the last one does, so it stands in where the last one is gone.

    Raises:
        TrainingError: The best checkpoint is gone: training on could not make it again.
        ConfigError: The checkpoint is damaged.
    """
    if not run.last.exists():
        if not run.best.exists():
            if run.report_json.exists():
                raise TrainingError(missing_best_reason(run))
            return None
        best = Checkpoint.read(run.best)
        LOG.warning("%s is gone; going on from %s, step %d", run.last, run.best.name, best.step)
        return best
    last = Checkpoint.read(run.last)
    if last.progress["best"] is not None and not run.best.exists():
        raise TrainingError(missing_best_reason(run))
    return last


def missing_best_reason(run: RunFolder) -> str:
    """Return why a run has no best checkpoint, and what can be done about it."""
    if not run.last.exists() and run.report_json.exists():
        return f"{run.path} is finished, but its checkpoints are gone; its report is still there. Train it with --fresh"
    if not run.last.exists():
        return f"{run.path} has no checkpoint yet: its first validation was not reached; `seqkit resume {run.path}`"
    last = Checkpoint.read(run.last)
    if last.progress["best"] is None:
        return (
            f"{run.path} has no best checkpoint yet: its first validation was not reached; "
            f"`seqkit resume {run.path}`, or name {run.last}, step {last.step}"
        )
    return (
        f"{run.path} has lost {run.best.name}, which its training wrote and cannot write again; "
        f"{run.last} (step {last.step}) can be evaluated and exported, or start over with --fresh"
    )

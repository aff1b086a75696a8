"""The checkpoint that a run goes on from, and the reason where there is none."""

import logging
from pathlib import Path

from seqkit.errors import ConfigError, TrainingError
from seqkit.runs.checkpoint import Checkpoint, DamagedError
from seqkit.runs.folder import RunFolder

LOG = logging.getLogger("seqkit")


def checkpoint_to_continue(run: RunFolder) -> Checkpoint | None:
    """Return the checkpoint to go on from, the newest that is whole; None where nothing was saved yet.

    The best checkpoint holds all that the last one does, so it stands in where none of the last ones is there. Damaged
    ones that are newer are renamed, so the lock of the run must be held; where all are damaged, nothing is renamed.

    Raises:
        TrainingError: The best checkpoint is gone: training on could not make it again.
        ConfigError: Every checkpoint is damaged.
    """
    damaged: list[tuple[Path, DamagedError]] = []
    places = [place for place in (run.last, *run.before_last, run.best) if place.exists()]
    for place in places:
        try:
            last = Checkpoint.read(place)
            needs_best = last.progress["best"] is not None
        except DamagedError as error:
            damaged.append((place, error))
            continue
        if needs_best and not run.best.exists():
            raise TrainingError(missing_best_reason(run, last))
        for bad, reason in damaged:
            LOG.warning("%s; set aside as %s", reason, _set_aside(bad).name)
        if place != run.last:
            gone = "" if damaged else f"{run.last} is gone; "
            LOG.warning("%sgoing on from %s, step %d", gone, place.name, last.step)
        return last
    if damaged:
        raise damaged[0][1]
    if run.report_json.exists():
        raise TrainingError(missing_best_reason(run))
    return None


def missing_best_reason(run: RunFolder, last: Checkpoint | None = None) -> str:
    """Return why a run has no best checkpoint, and what can be done about it.

    Args:
        run: Its folder.
        last: The checkpoint to go on from, if it was read already.
    """
    if last is None:
        newest = next((place for place in (run.last, *run.before_last) if place.exists()), None)
        if newest is None and run.report_json.exists():
            gone = "is finished, but its checkpoints are gone; its report is still there"
            return f"{run.path} {gone}. Train it with --fresh"
        if newest is None:
            return f"{run.path} has no checkpoint yet: its first validation was not reached; `seqkit resume {run.path}`"
        last = Checkpoint.read(newest)
    if last.progress["best"] is None:
        return (
            f"{run.path} has no best checkpoint yet: its first validation was not reached; "
            f"`seqkit resume {run.path}`, or name {last.path}, step {last.step}"
        )
    return (
        f"{run.path} has lost {run.best.name}, which its training wrote and cannot write again; "
        f"{last.path} (step {last.step}) can be evaluated and exported, or start over with --fresh"
    )


def checkpoint_named(path: Path) -> Path:
    """Return the checkpoint that a person names, by its file or by its run, of which it is the best.

    Raises:
        ConfigError: There is none.
    """
    if path.is_file():
        return path
    run = RunFolder(path)
    if not run.config_json.is_file() or not run.started:
        run.read_config()  # refuses what is not a run
    if not run.best.exists():
        raise ConfigError(missing_best_reason(run))
    return run.best


def _set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint so that it is not taken for one, and return its new name."""
    number = 1
    while (place := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return path.rename(place)

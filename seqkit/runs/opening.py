"""Opening a run: a new folder, one to go on with, or one to start over in place of an earlier one."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from seqkit import slurm
from seqkit.config import Config, config_hash
from seqkit.errors import ConfigError, SeqkitError, shown
from seqkit.files import TEMPORARY, disk_reason, sync_folder
from seqkit.runs.folder import KEPT_ASIDE, RunFolder, config_difference, new_id
from seqkit.runs.length import is_continuation, refuse_other_config
from seqkit.runs.resuming import checkpoint_to_continue


@contextmanager
def open_run(config: Config, fresh: bool) -> Iterator[tuple[Config, RunFolder]]:
    """Lock the folder for ``config``, write its ``config.json``, and yield the config, id included, and the folder.

    A run without an id gets a new one. The folder of an id that is there already is continued if it holds checkpoints
    of the same config, or of one that ends earlier; with ``fresh`` it is renamed and a new one made, but for one that a
    SLURM job made before it was requeued. A new folder goes again if its run is refused, unless its log holds the
    traceback of the refusal.

    Raises:
        ConfigError: The folder cannot be written, or holds a run with another config.
        TrainingError: Another process holds it.
    """
    parent = Path(config["runs"]).expanduser() / config["name"]
    if config["id"] and KEPT_ASIDE.search(config["id"]):
        raise ConfigError(f"id={config['id']}: such names are of runs that --fresh has put aside; give another id")
    try:
        path = parent / config["id"] if config["id"] else _new_folder(parent)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"runs={config['runs']}: no folder can be made there ({disk_reason(error)})") from None
    run, config = RunFolder(path), {**config, "id": path.name}
    with ExitStack() as locks:
        _refuse_other_things(run)
        locks.enter_context(run.lock())
        if fresh and run.config_json.exists() and not _is_own(run):
            aside = put_aside(run)
            locks.pop_all().close()  # that of the folder put aside
            _say_aside(aside)
            path.mkdir(exist_ok=True)
            locks.enter_context(run.lock())
        started = run.started
        try:
            if started:
                change(run, config)
            else:
                try:
                    run.write_config(config)
                except OSError as error:
                    raise ConfigError(f"{run.config_json}: cannot be written ({disk_reason(error)})") from None
            yield config, run
        except SeqkitError as refusal:
            explained = refusal.__cause__ is not None  # its traceback is in train.log
            if not started and not run.started and not explained:
                with suppress(OSError):
                    shutil.rmtree(path)
                    parent.rmdir()
            raise


def change(run: RunFolder, config: Config) -> None:
    """Write another config of a run that goes on, in more than its name and place, and note what changed at which step.

    Raises:
        ConfigError: The run may not go on with it, or its folder cannot be written.
    """
    saved, _ = run.read_config()
    if not is_continuation(saved, config):
        raise ConfigError(
            f"run {run.path} exists with another config ({config_difference(saved, config)}); go on with it "
            f"as it is by `seqkit resume {run.path}`, start it over with --fresh, or give another id"
        )
    step = 0
    if config_hash(saved) != config_hash(config) and (last := checkpoint_to_continue(run)):
        refuse_other_config(last, config, run)
        step = last.step
    if saved["trainer"] != config["trainer"]:
        try:
            run.change_config(config, step)
        except OSError as error:
            raise ConfigError(f"{run.config_json}: cannot be written ({disk_reason(error)})") from None


def _new_folder(parent: Path) -> Path:
    """Make a folder with a new id; that of a scheduler's job may be there already: its own run."""
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        folder = parent / new_id()
        if folder.name.startswith("slurm-"):
            return folder
        with suppress(FileExistsError):
            folder.mkdir()
            return folder


def start_over(run: RunFolder) -> None:
    """Put a run aside, if there is one; raises as ``RunFolder.lock``."""
    if run.config_json.is_file():
        with run.lock():
            _say_aside(put_aside(run))


def put_aside(run: RunFolder) -> Path:
    """Rename the folder of a run or a sweep, locked by this process, and return where it is now, without the lock."""
    number = 1
    while (place := run.path.with_name(f"{run.path.name}.old-{number}")).exists():
        number += 1
    run.path.rename(place)
    RunFolder(place).lock_file.unlink()
    sync_folder(place.parent)
    return place


def _say_aside(folder: Path) -> None:
    print(f"the run that was there is kept as {shown(folder)}", file=sys.stderr)  # Hydra silences loggers


def _is_own(run: RunFolder) -> bool:
    """Whether this job of SLURM made a run before it was requeued, which ``--fresh`` then leaves as it is."""
    try:
        own = slurm.is_requeued(run.read_record().get("job", ""))
    except ConfigError:
        return False
    if own:
        print(f"--fresh was done when this job first started; run {shown(run.path)} goes on", file=sys.stderr)
    return own


def _refuse_other_things(run: RunFolder) -> None:
    """Refuse a folder that is not empty and is not that of a run, so that nothing in it may be touched."""
    if run.config_json.is_file():
        return
    lock = run.lock_file.name
    names = [entry.name for entry in run.path.iterdir() if not entry.match(TEMPORARY)]
    if any(name != lock and not name.startswith(f"{lock}.") for name in names):
        raise ConfigError(
            f"{run.path} is there already and is no run: there is no {run.config_json.name} in it; give another id"
        )

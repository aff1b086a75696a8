"""The story of a run on one page: open its folder, train or go on, report."""

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from seqkit.config import Config, config_hash
from seqkit.data.loading import refuse_if_undescribed, set_up
from seqkit.errors import Stopped, TrainingError, shown
from seqkit.estimate import refuse_if_too_large
from seqkit.evaluation import calibrated
from seqkit.files import working_in
from seqkit.interrupting import reached
from seqkit.network import device_of
from seqkit.ranks import group, in_words, wanted_ranks
from seqkit.ranks.launch import failure, launch
from seqkit.ranks.parts import ask
from seqkit.registry import build
from seqkit.report.facts import write_report
from seqkit.runs.checkpoint import Checkpoint, DamagedError, write
from seqkit.runs.folder import RunFolder
from seqkit.runs.length import is_complete, refuse_other_config, with_changes
from seqkit.runs.log import logging_to
from seqkit.runs.metadata import metadata
from seqkit.runs.opening import change, open_run
from seqkit.runs.provenance import change_reason, components, provide, remember, version_reason
from seqkit.runs.refusals import faults_in_one_line, one_line_about_the_disk, reading_of_data
from seqkit.runs.resuming import checkpoint_to_continue, missing_best_reason
from seqkit.runs.starting import source_of
from seqkit.stopping import current
from seqkit.testing.dry_run.run import dry_run

LOG = logging.getLogger("seqkit")


def train(config: Config, fresh: bool = False, exact: bool = False, changed_code: bool = False) -> dict[str, Any]:
    """Train the run that ``config`` describes, or continue it, and return its report.

    Args:
        config: Checked, as ``compose`` returns it.
        fresh: Start over where the run exists already.
        exact: Refuse to continue it where that cannot be exact to the bit.
        changed_code: Continue it with plugins whose code has changed.

    Raises:
        SeqkitError: Something in the config or the data cannot work.
        Stopped: A signal asked for a stop; the checkpoint is saved.
    """
    data = build("data", config["data"])  # files are looked for before anything slow or lasting happens
    if config["init_from"]:
        source_of(config["init_from"])
    with open_run(config, fresh) as (config, run):
        return _finished(config, run) or _on_ranks(config, data, run, exact=exact, changed_code=changed_code)


def resume(
    folder: Path,
    exact: bool = False,
    report: bool = False,
    changed_code: bool = False,
    changes: Sequence[str] = (),
) -> dict[str, Any]:
    """Continue a run from its last checkpoint, or train it longer, and return its report; raises as ``train``.

    Args:
        folder: Of the run.
        exact: Refuse to continue where that cannot be exact to the bit.
        report: Make the report of a finished run again.
        changed_code: Continue with plugins whose code has changed.
        changes: ``trainer.OPTION=VALUE``, of options that may change, a greater ``max_steps`` above all.
    """
    run = RunFolder(folder.resolve())
    config, started_in = run.read_config()
    config = with_changes(config, changes)
    with run.lock(), working_in(started_in):
        change(run, config)
        done = None if report else _finished(config, run)
        if done:
            return done
        return _on_ranks(config, build("data", config["data"]), run, exact=exact, changed_code=changed_code)


def _on_ranks(config: Config, data: Any, run: RunFolder, **flags: bool) -> dict[str, Any]:
    """Train in this process, in the ranks that were started with it, or in ranks that it starts.

    Args:
        config: Of the run.
        data: Not set up.
        run: Its folder, locked by this process, with its ``config.json``.
        flags: Of ``work``.
    """
    ranks, options = group(), config["trainer"]
    size = wanted_ranks(options, ranks.place)
    if ranks.place.starter != "nobody":
        ask(work, folder=str(run.path), **flags)
    elif size > 1 or options["strategy"] != "auto":
        return _launched(config, run, size, flags)
    return _run(config, data, run, **flags)


def _launched(config: Config, run: RunFolder, size: int, flags: dict[str, bool]) -> dict[str, Any]:
    """Train in ranks that are processes of their own on this machine, and return the report."""
    remember(components(config))
    logs = [run.log_of(rank) for rank in range(size)]
    end = launch(work, {"folder": str(run.path), **flags}, size, logs)
    if end is None:
        report = run.read_report()
        assert report is not None
        return report
    if end.signal:
        raise Stopped(end.signal, end.step, run.path)
    raise failure(end, logs)


def work(folder: str, exact: bool = False, changed_code: bool = False) -> dict[str, Any]:
    """Do one rank's part of a run whose ``config.json`` is there; see ``resume``."""
    run = RunFolder(Path(folder))
    config, started_in = run.read_config()
    with working_in(started_in):
        return _run(config, build("data", config["data"]), run, exact, changed_code)


def _finished(config: Config, run: RunFolder) -> dict[str, Any] | None:
    """Return the report of a run that is finished, as it stands; None where there is something to do."""
    report = run.read_report()
    if report is None or report.get("config_hash") != config_hash(config):
        return None
    if run.last.exists():
        try:
            last = Checkpoint.read(run.last)
            if not is_complete(last, config):
                return None
        except DamagedError:
            return None  # made again, from the one before
        refuse_other_config(last, config, run)
    print(
        f"run {shown(run.path)} is finished; its report is left as it was (`seqkit resume {shown(run.path)} "
        f"--report` makes it again). To train it longer: `seqkit resume {shown(run.path)} trainer.max_steps=N`",
        file=sys.stderr,
    )
    if not run.best.exists():
        print(f"seqkit: {missing_best_reason(run)}", file=sys.stderr)
    return report


def _run(config: Config, data: Any, run: RunFolder, exact: bool, changed_code: bool) -> dict[str, Any]:
    """Set up the data, train to the end, report."""
    from seqkit.training.fit import fit, open_loggers  # Lightning: only to train

    started, ranks = time.monotonic(), group()
    log = run.log_of(ranks.rank)
    stoppable = current().of_run(run.path, config["trainer"]["requeue"])
    with stoppable, one_line_about_the_disk(run), logging_to(log, ranks.first), faults_in_one_line(run):
        device = device_of(config["trainer"]["accelerator"], ranks.place.local_rank)
        last = _last_checkpoint(run)
        if last:
            _check_code(last, run, exact, changed_code)
        with reading_of_data():
            set_up(data)
        refuse_if_undescribed(data)
        if last is None and ranks.first:
            run.write_config(config, data.spec)  # a resumed run without a checkpoint begins with the code of now
        about = {**metadata(config, data), "history": run.history}
        same = {name: about[name] for name in ("version", "hash", "fingerprint", "components")}
        ranks.refuse_if_unequal({**same, "torch": str(torch.__version__)})
        if ranks.first:
            remember(about["components"])
        LOG.info("run %s%s", shown(run.path), in_words(config["trainer"], ranks.place))
        for name, value in data.facts.items():
            LOG.info("data %s: %s", name, value)
        refuse_if_too_large(config, data, device)
        _check_steps(config, data)
        if last:
            _check_continuation(last, config, data, run)
        done = last is not None and is_complete(last, config)
        if config["trainer"]["dry_run"] and not done:
            with reading_of_data():
                dry_run(config, data, device, about, last)
        loggers = open_loggers(config, run, last)
        try:
            if last and done:
                LOG.info("training was complete at step %d", last.step)
                seconds = last.metadata["seconds"]
            else:
                seconds = fit(config, data, run, about, last, loggers, exact)
        except BaseException:
            loggers.close()
            raise
        reached("report")
        ranks.barrier()
        best = _calibrated(run, data, device)
        training = {"training_seconds": round(seconds, 1), "best_step": best.step}
        if source := best.metadata.get("init_from"):
            training["init_from"] = source
        try:
            report = write_report(run, config, best.network().to(device), best.spec(), data, training)
            if ranks.first:
                loggers.publish(run, report)
        finally:
            loggers.close()
        if ranks.first:
            LOG.info("report %s (%.0f s after the run was opened)", shown(run.report_md), time.monotonic() - started)
    return report


def _last_checkpoint(run: RunFolder) -> Checkpoint | None:
    """Return the checkpoint to go on from, which rank 0 chooses."""
    ranks = group()
    last = checkpoint_to_continue(run) if ranks.first else None
    path = ranks.broadcast(last.path if last else None)
    return last if ranks.first or path is None else Checkpoint.read(path)


def _calibrated(run: RunFolder, data: Any, device: torch.device) -> Checkpoint:
    """Return the best checkpoint, saved with what its task learns from the predictions for the validation part."""
    plain = Checkpoint.read(run.best).with_spec(data.spec)
    best = plain.with_spec(calibrated(plain.network().to(device), data.spec, data))
    if group().first and best.metadata["spec"] != plain.metadata["spec"]:
        write(run.best, best.content)
    return best


def _check_steps(config: Config, data: Any) -> None:
    """Let the data refuse samples with too few steps for their targets, by file and line, before training."""
    if not hasattr(data, "check_steps"):
        return
    frontend = build("frontend", config["frontend"] or data.spec.inputs.frontend, data.spec)
    if hasattr(frontend, "steps"):
        data.check_steps(lambda length: int(frontend.steps(torch.tensor([length]))[0]))


def _check_code(last: Checkpoint, run: RunFolder, exact: bool, changed_code: bool) -> None:
    """Refuse to go on with plugins whose code has changed, unless that is asked for; say so of seqkit's own."""
    saved = last.metadata["components"]
    provide(saved)
    changed, version = change_reason(saved), version_reason(saved)
    if changed and run.report_json.exists():
        raise TrainingError(f"{changed}; its report is left as it is: put that code back to make it again")
    if changed and not changed_code:
        raise TrainingError(f"{changed}; put that code back, or go on with what is there now by --changed-code")
    for reason in filter(None, (changed, version)):
        if exact:
            raise TrainingError(f"--exact: {reason}")
        LOG.warning("%s", reason)


def _check_continuation(last: Checkpoint, config: Config, data: Any, run: RunFolder) -> None:
    """Refuse to go on under another config or on other data."""
    refuse_other_config(last, config, run)
    if last.metadata["fingerprint"] != data.fingerprint:
        raise TrainingError(
            f"the data have changed since {last.path} was saved, so its run cannot go on exactly; "
            "put the data back, or start over with --fresh"
        )
    last.network()  # refuses weights that do not fit, before anything large is made

"""A run from its config to its report: train, continue, finish."""

import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import seqkit
from seqkit.config import Config, config_hash
from seqkit.errors import ConfigError, TrainingError, shown
from seqkit.registry import build, spec_to_json
from seqkit.runs.folder import claimed, held, read_config
from seqkit.training.loggers import publish

LOG = logging.getLogger("seqkit")


def train(config: Config, fresh: bool = False) -> dict[str, Any]:
    """Train the run that ``config`` describes, or continue it, and return its report.

    Args:
        config: Checked, as ``compose`` returns it.
        fresh: Start over where the run exists already.

    Raises:
        SeqkitError: Something in the config or the data cannot work.
        Stopped: A signal asked for a stop; the checkpoint is saved.
    """
    data = build("data", config["data"])  # its files are looked for before anything slow or lasting happens
    with claimed(config, fresh) as (config, folder):
        return _run(config, data, folder)


def resume(folder: Path) -> dict[str, Any]:
    """Continue a run from its last checkpoint and return its report; raises as ``train``."""
    folder = folder.resolve()
    config, started_in = read_config(folder)
    with held(folder), chdir(started_in) if started_in.is_dir() else nullcontext():
        return _run(config, build("data", config["data"]), folder)


def _run(config: Config, data: Any, folder: Path) -> dict[str, Any]:
    from seqkit.network import device_of, network_weights
    from seqkit.report.facts import write_report
    from seqkit.trained import read_checkpoint
    from seqkit.training.callbacks import BEST, LAST

    started = time.monotonic()
    with _logging_to(folder / "train.log"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        device = device_of(config["trainer"]["accelerator"])
        data.setup()
        LOG.info("run %s", shown(folder))
        for name, value in data.facts.items():
            LOG.info("data %s: %s", name, value)
        facts = {
            "version": seqkit.__version__,
            "config": config,
            "hash": config_hash(config),
            "spec": spec_to_json(data.spec),
            "fingerprint": data.fingerprint,
            "started_in": os.getcwd(),
        }
        last = _read_last(folder / "checkpoints" / LAST, data.fingerprint)
        loggers = _loggers(config, folder, last["global_step"] if last else -1)
        network, seconds = _fit(config, data, folder, facts, last, loggers)
        best = read_checkpoint(folder / "checkpoints" / BEST)
        network.load_state_dict(network_weights(best))
        times = {"training_seconds": round(seconds, 1), "best_step": best["global_step"]}
        report = write_report(folder, config, network.to(device), data, times)
        for logger in loggers[1:]:
            publish(logger, folder, report)
        LOG.info("report %s (%.0f s in all)", shown(folder / "report.md"), time.monotonic() - started)
    return report


def _loggers(config: Config, folder: Path, step: int) -> list[Any]:
    from seqkit.runs.metrics_csv import CSVLogger

    loggers: list[Any] = [CSVLogger(folder / "metrics.csv", keep=step)]
    if config["logger"]:
        loggers.append(build("logger", config["logger"], folder, config))
    return loggers


def _fit(
    config: Config, data: Any, folder: Path, facts: dict[str, Any], last: dict[str, Any] | None, loggers: list[Any]
) -> tuple[Any, float]:
    """Train to the end, from the checkpoint ``last`` where there is one; return the network and the seconds."""
    from seqkit.data.loading import evaluation_loader
    from seqkit.training.callbacks import LAST
    from seqkit.training.loader import TrainLoader, steps_per_epoch

    options = config["trainer"]
    accumulate = options["accumulate_grad_batches"]
    epoch = steps_per_epoch(data, config["seed"], accumulate)
    total_steps = _total_steps(options["max_steps"], options["max_epochs"], epoch)
    task = make_task(config, data, facts, total_steps)
    if last and last["callbacks"]["Checkpoints"]["done"]:
        LOG.info("training was complete at step %d", last["global_step"])
        return task.network, last["seqkit"]["seconds"]
    interval = min(options["val_check_interval"] or epoch, total_steps)
    trainer, stop = make_trainer(config, folder, task, total_steps, loggers, interval)
    size = sum(parameter.numel() for parameter in task.network.parameters())
    LOG.info("%s parameters, %s steps on %s", f"{size:,}", f"{total_steps:,}", trainer.strategy.root_device)
    if last:
        LOG.info("going on from step %d", last["global_step"])
    pin = trainer.strategy.root_device.type == "cuda"
    loader = TrainLoader(data, config["seed"], total_steps * accumulate, options["num_workers"], pin)
    valid = evaluation_loader(data, "valid", data.batch_size, options["num_workers"], pin)
    start = folder / "checkpoints" / LAST if last else None
    try:
        trainer.fit(task, loader, valid, ckpt_path=start, weights_only=True)
    except SystemExit:  # how Lightning answers Ctrl-C
        raise KeyboardInterrupt from None
    finally:
        stop.close()
    return task.network, task.seconds


def _total_steps(max_steps: int | None, max_epochs: int | None, epoch: int) -> int:
    """Return the optimizer steps of the training, and say so where one limit cuts the other short."""
    if max_steps is None or max_epochs is None:
        return max_steps or (max_epochs or 0) * epoch
    first, other = ("max_steps", "max_epochs") if max_steps < max_epochs * epoch else ("max_epochs", "max_steps")
    limits = {"max_steps": max_steps, "max_epochs": max_epochs}
    LOG.info("trainer.%s=%d ends the training before trainer.%s=%d", first, limits[first], other, limits[other])
    return min(max_steps, max_epochs * epoch)


def make_task(config: Config, data: Any, facts: dict[str, Any], total_steps: int) -> Any:
    """Seed everything and build network, optimizer and schedule as one SequenceTask.

    Args:
        config: Of the run.
        data: Set up.
        facts: For the checkpoint.
        total_steps: Optimizer steps of the whole training.
    """
    import lightning.pytorch as pl

    from seqkit.network import assemble
    from seqkit.training.module import SequenceTask

    pl.seed_everything(config["seed"], verbose=False)
    network = assemble(config, data.spec)
    optimizer = build("optimizer", config["optimizer"], list(network.parameters()))
    schedule = build("scheduler", config["scheduler"], total_steps, network.head.monitor[1])
    return SequenceTask(network, data.spec, optimizer, schedule, facts, config["trainer"]["log_every_n_steps"])


def make_trainer(
    config: Config, folder: Path, task: Any, total_steps: int, loggers: list[Any], interval: int | None = None
) -> tuple[Any, Any]:
    """Return Lightning's Trainer for a run, and the request by which it can be stopped.

    Args:
        config: Of the run.
        folder: Of the run.
        task: What will be trained.
        total_steps: Optimizer steps of the whole training.
        loggers: Where metrics go.
        interval: Optimizer steps between validations; None is at the end only.

    Raises:
        ConfigError: Lightning refuses the options on this machine.
    """
    import lightning.pytorch as pl
    from lightning.pytorch.plugins.environments import LightningEnvironment

    from seqkit.network import device_of
    from seqkit.training.callbacks import AtomicCheckpointIO, Checkpoints, StopRequest
    from seqkit.training.progress import ProgressBar

    options = config["trainer"]
    stop = StopRequest()
    checkpoints = Checkpoints(
        folder / "checkpoints",
        task.network.head.monitor,
        total_steps,
        options["checkpoint_every_n_steps"],
        options["early_stopping_patience"],
        stop,
    )
    try:
        trainer = pl.Trainer(
            accelerator=device_of(options["accelerator"]).type,
            devices=1,
            precision=options["precision"],
            max_epochs=1,  # see TrainLoader
            max_steps=total_steps,
            val_check_interval=(interval or total_steps) * options["accumulate_grad_batches"],
            limit_val_batches=options["limit_val_batches"] or 1.0,
            accumulate_grad_batches=options["accumulate_grad_batches"],
            gradient_clip_val=options["gradient_clip_val"],
            deterministic=options["deterministic"],
            detect_anomaly=options["detect_anomaly"],
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            logger=loggers,
            default_root_dir=folder,
            plugins=[AtomicCheckpointIO(), LightningEnvironment()],  # not SLURM's, which requeues on its own
            callbacks=[ProgressBar(total_steps), checkpoints],
        )
    except pl.utilities.exceptions.MisconfigurationException as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from None
    return trainer, stop


def _read_last(path: Path, fingerprint: str) -> dict[str, Any] | None:
    from seqkit.trained import read_checkpoint

    if not path.exists():
        return None
    last = read_checkpoint(path)
    if last["seqkit"]["fingerprint"] != fingerprint:
        raise TrainingError(
            f"the data have changed since {path} was saved, so its run cannot go on exactly; "
            "put the data back, or start over with --fresh"
        )
    return last


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send seqkit's log to the terminal and the run's ``train.log``, and Lightning's chatter nowhere."""
    file = logging.FileHandler(path)
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr), file]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    LOG.disabled = False  # Hydra disables loggers that it does not know
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in handlers:
        LOG.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            LOG.removeHandler(handler)
            handler.close()

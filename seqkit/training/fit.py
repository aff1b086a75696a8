"""One training by Lightning, from the start or from a checkpoint, to its last step."""

import logging
import warnings
from typing import Any

import lightning.pytorch as pl

from seqkit.config import Config
from seqkit.contracts.components import Data
from seqkit.data.loading import evaluation_loader
from seqkit.errors import ConfigError, PluginError, SeqkitError
from seqkit.faults import author_line, said
from seqkit.network import device_of
from seqkit.ranks import group
from seqkit.registry import build
from seqkit.runs.backends import backends_of_run
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.conditions import threads_of
from seqkit.runs.folder import RunFolder
from seqkit.runs.length import planned_steps
from seqkit.runs.metrics_csv import MetricsWriter
from seqkit.stopping import StopRequest, current, time_limits
from seqkit.training.averaging import Averaging, NonMonotone, decaying, even_from
from seqkit.training.callbacks import CheckpointFiles, Checkpoints, ProgressBar
from seqkit.training.interrupting import moments
from seqkit.training.lengthening import NewLength
from seqkit.training.loader import TrainLoader, steps_per_epoch
from seqkit.training.loggers import Loggers
from seqkit.training.module import SequenceModule
from seqkit.training.strategy import RankEnvironment, strategy

LOG = logging.getLogger("seqkit")


def open_loggers(config: Config, run: RunFolder, last: Checkpoint | None) -> Loggers:
    """Open ``metrics.csv``, without the lines beyond the checkpoint ``last``, and the chosen logger."""
    if not group().first:
        return Loggers(None)
    if last and not run.metrics_csv.exists():
        LOG.warning("%s is gone; it starts anew at step %d", run.metrics_csv, last.step)
    writer = MetricsWriter(run.metrics_csv, keep=last.step if last else -1)
    chosen = config["logger"]
    if not chosen:
        return Loggers(writer)
    try:
        logger = build("logger", chosen, run.path, config)
        if not hasattr(logger, "log_metrics"):
            raise PluginError(f"logger={chosen['name']}: {type(logger).__name__} has no log_metrics(metrics, step)")
        return Loggers(writer, logger, last.step if last else None)
    except SeqkitError:
        raise
    except Exception as error:
        LOG.warning("logger=%s fails and is left out: %s", chosen["name"], said(error))
        return Loggers(writer, None)


def fit(
    config: Config,
    data: Data,
    run: RunFolder,
    metadata: dict[str, Any],
    last: Checkpoint | None,
    loggers: Loggers,
    exact: bool,
) -> float:
    """Train to the end and return the seconds it took over all starts; the checkpoints hold the network.

    Args:
        config: Of the run.
        data: Set up.
        run: Folder of the run.
        metadata: For the checkpoints.
        last: Checkpoint to go on from; None starts at step 0.
        loggers: Where metrics go.
        exact: Whether to refuse to go on where the checkpoint was saved under other conditions.
    """
    options = config["trainer"]
    accumulate, workers = options["accumulate_grad_batches"], options["num_workers"]
    epoch = steps_per_epoch(data, config["seed"], accumulate)
    _say_which_limit_ends_it(options["max_steps"], options["max_epochs"], epoch)
    steps = planned_steps(config, epoch)
    stop = current()
    stop.limits = time_limits(options["max_time"]) if group().first else []
    interval = min(options["val_check_interval"] or epoch, steps)
    trainer = make_trainer(config, run, steps, interval, stop)
    backends = backends_of_run(config, data, trainer.strategy.root_device, steps, last)
    about = {**metadata, "steps_per_epoch": epoch, "backends": backends}
    if last and "init_from" in last.metadata:
        about["init_from"] = last.metadata["init_from"]
    module = SequenceModule(config, data.spec, steps, about, loggers, exact, fresh=last is None)
    if last and (before := planned_steps(last.config(), epoch)) != steps:
        trainer.callbacks.append(NewLength(config, before, steps))  # type: ignore[attr-defined]
    pin = trainer.strategy.root_device.type == "cuda"
    ranks = group()
    loader = TrainLoader(data, config["seed"], steps * accumulate, workers, pin, ranks.rank, ranks.size)
    valid = evaluation_loader(data, "valid", data.batch_size, workers, pin)
    ranks.watch(options["timeout"])
    try:
        with stop.training(), threads_of(last), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            trainer.fit(module, loader, valid, ckpt_path=last.path if last else None, weights_only=True)
    except SystemExit as error:
        if author_line(error):
            raise
        raise KeyboardInterrupt from None  # how Lightning answers Ctrl-C
    finally:
        ranks.watch(None)
    return module.seconds


def make_trainer(
    config: Config, run: RunFolder, steps: int, interval: int, stop: StopRequest | None = None
) -> pl.Trainer:
    """Return Lightning's Trainer for a run.

    Args:
        config: Of the run.
        run: Folder of the run.
        steps: Optimizer steps of the whole training.
        interval: Optimizer steps between validations.
        stop: By which the training can be stopped.

    Raises:
        ConfigError: Lightning refuses the options on this machine.
    """
    options, place = config["trainer"], group().place
    every, patience = options["checkpoint_every_n_steps"], options["early_stopping_patience"]
    checkpoints = Checkpoints(run, steps, every, patience, StopRequest() if stop is None else stop)
    try:
        trainer = pl.Trainer(
            accelerator=device_of(options["accelerator"]).type,
            devices=place.local_size,
            num_nodes=place.nodes,
            strategy=strategy(options["strategy"], place),
            precision=options["precision"],
            max_epochs=1,  # see TrainLoader
            max_steps=steps,
            val_check_interval=interval * options["accumulate_grad_batches"],
            limit_val_batches=options["limit_val_batches"] or 1.0,
            accumulate_grad_batches=options["accumulate_grad_batches"],
            gradient_clip_val=options["gradient_clip_val"],
            deterministic=options["deterministic"],
            detect_anomaly=options["detect_anomaly"],
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            logger=False,  # metrics go to Loggers, of which one that fails is dropped
            default_root_dir=run.path,
            # not Lightning's environment for SLURM, which requeues on its own
            plugins=[CheckpointFiles(options["keep_checkpoints"]), RankEnvironment(place)],
            callbacks=[*[ProgressBar(steps)] * (place.rank == 0), *moments(), *_averaging(options, steps), checkpoints],
        )
    except pl.utilities.exceptions.MisconfigurationException as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from None
    # Its handler of SIGTERM ends the process with exit code 0, and calls a collective from within the handler.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    # It would broadcast one number at each batch, and wait for it, to learn what `Checkpoints` knows by then.
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    return trainer


def _averaging(options: dict[str, Any], steps: int) -> list[pl.Callback]:
    """Return the callback that averages the weights, where that is asked for."""
    if decay := options["ema"]:
        return [Averaging(decaying(decay), f"trainer.ema={decay:g}")]
    if part := options["average_last"]:
        start = round(steps * (1 - part))
        return [Averaging(even_from(start), f"trainer.average_last={part:g}, from step {start + 1} on")]
    if interval := options["average_when_stalled"]:
        return [Averaging(NonMonotone(interval), f"trainer.average_when_stalled={interval}, once validation stalls")]
    return []


def _say_which_limit_ends_it(max_steps: int | None, max_epochs: int | None, epoch: int) -> None:
    if max_steps is not None and max_epochs is not None:
        first, other = ("max_steps", "max_epochs") if max_steps < max_epochs * epoch else ("max_epochs", "max_steps")
        limits = {"max_steps": max_steps, "max_epochs": max_epochs}
        LOG.info("trainer.%s=%d ends the training before trainer.%s=%d", first, limits[first], other, limits[other])

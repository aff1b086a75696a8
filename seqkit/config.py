"""The resolved config of a run: its settings and the options of training, checked, hashed. No Hydra."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic_core import PydanticCustomError

from seqkit import registry, schema, stopping
from seqkit.errors import ConfigError, nearest

Config = dict[str, Any]
CHOICES = registry.KINDS
OPTIONAL = ("frontend", "head", "logger")  # kinds that need not be chosen
IDENTITY = ("name", "id", "runs")  # where a run lies, not what it computes
CIRCUMSTANCES = ("devices", "num_nodes", "strategy", "timeout", "max_time", "requeue", "keep_checkpoints", "dry_run")
"""Options of the trainer that say where and how long at a time a run is trained, not what it computes."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what numpy takes


def _duration(text: str) -> str:
    try:
        stopping.seconds(text)
    except ValueError as error:
        raise PydanticCustomError("duration", str(error)) from None  # type: ignore[arg-type]
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Share = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(pattern=schema.NAME)]


@registry.register("trainer", "lightning")
@dataclass(frozen=True, kw_only=True)
class TrainerOptions:
    """Length, device, precision and intervals of training.

    Args:
        accelerator: Device to train on; ``auto`` is a GPU (CUDA) where there is one.
        devices: Processes that train together on each node, each with its own GPU where there are some; ``auto`` is as
            many as `srun` or `torchrun` started, else one for each GPU here, else one.
        num_nodes: Machines that train together; more than one are started by `srun` or `torchrun`.
        strategy: How several processes share the work: ``ddp`` copies the network into each, ``fsdp`` shards it;
            ``auto`` is ``ddp`` where there are several.
        timeout: Seconds after which a process that does not answer, or a step that does not end, ends the job.
        precision: Number format of training, as in Lightning's Trainer; metrics are always computed in float32.
        max_steps: Optimizer steps to train for; with ``max_epochs`` too, training ends at what comes first.
        max_epochs: Epochs over the training split to train for.
        val_check_interval: Optimizer steps between validations; null is once a pass over the training part.
        limit_val_batches: Batches of each validation; null is the whole part.
        accumulate_grad_batches: Batches whose gradients are averaged into one optimizer step.
        gradient_clip_val: Norm that the gradient of all parameters together is clipped to; null is not at all.
        ema: Decay of an exponential moving average of the weights, 0.999 say, which is validated and used in place of
            the weights themselves; null is none.
        average_last: Last share of the training, 0.25 say, over whose steps the weights are averaged evenly, to be used
            so; null is none.
        average_when_stalled: Validations, 5 say: the first score that is worse than the best before the last so many
            starts an even average of the weights, to be used so (NT-ASGD, Merity et al. 2018); null is none.
        early_stopping_patience: Validations without a better score after which training stops; null is never.
        checkpoint_every_n_steps: Optimizer steps between checkpoints; one is also saved after each validation.
        keep_checkpoints: Last checkpoints to keep, of which the one before stands in for a damaged one.
        log_every_n_steps: Optimizer steps between the lines of the training metrics.
        num_workers: Processes that load data; 0 loads in the training process.
        deterministic: Refuse operations that are not reproducible on a GPU.
        detect_anomaly: Find the operation behind a NaN; slow.
        dry_run: Try every part once, on a few samples, before the first step; changes nothing of the result.
        max_time: Time from each start, HH:MM:SS or D-HH:MM:SS, before which training saves and stops; null is no limit.
        requeue: Requeue a SLURM job that SIGUSR1 or the end of its allocation stops.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: PositiveInt | Literal["auto"] = 1
    num_nodes: PositiveInt = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    timeout: PositiveFloat = 600.0
    precision: Literal["32-true", "64-true", "16-mixed", "bf16-mixed"] = "32-true"
    max_steps: PositiveInt | None = None
    max_epochs: PositiveInt | None = None
    val_check_interval: PositiveInt | None = None
    limit_val_batches: PositiveInt | None = None
    accumulate_grad_batches: PositiveInt = 1
    gradient_clip_val: PositiveFloat | None = 1.0
    ema: Share | None = None
    average_last: Share | None = None
    average_when_stalled: PositiveInt | None = None
    early_stopping_patience: PositiveInt | None = None
    checkpoint_every_n_steps: PositiveInt | None = 500
    keep_checkpoints: PositiveInt = 2
    log_every_n_steps: PositiveInt = 20
    num_workers: NonNegativeInt = 0
    deterministic: bool = False
    detect_anomaly: bool = False
    dry_run: bool = True
    max_time: Duration | None = None
    requeue: bool = True


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A run's own settings, at the top of the config.

    Args:
        name: First folder of the run, ``runs/NAME/ID``; null is the name of the data.
        id: Second folder of the run, the same in wandb; null is the time of the start.
        seed: Seed of the initial weights, the data order and dropout.
        runs: Folder that holds all runs.
        init_from: Folder of a run, whose best checkpoint is taken, or a checkpoint: start from its weights.
        freeze: Parts that are not trained: frontend, model, head, or modules and parameters in them, `model.layers.0`.
    """

    name: Name | None = None
    id: Name | None = None
    seed: Seed = 1
    runs: str = "runs"
    init_from: str | None = None
    freeze: tuple[str, ...] = ()


def config_hash(config: Config) -> str:
    """Return the sha256 of what a config computes."""
    return sha256(json.dumps(content(config), sort_keys=True).encode()).hexdigest()


def content(config: Config) -> Config:
    """Return a config without what changes nothing of what is computed: name and place of its run, circumstances.

    A run that goes on elsewhere, on another number of devices, is the same run.
    """
    found = {key: value for key, value in config.items() if key not in IDENTITY}
    if isinstance(found.get("trainer"), dict):
        found["trainer"] = {key: value for key, value in found["trainer"].items() if key not in CIRCUMSTANCES}
    return found


def check(config: Config) -> Config:
    """Validate a whole config and fill in every default; the result is plain JSON.

    Raises:
        ConfigError: An unknown key, component or option, or a value outside its type.
    """
    settings = {key: value for key, value in config.items() if key not in CHOICES}
    known = [option.name for option in schema.options(Settings)]
    for key in settings:
        if key not in known:
            raise unknown_setting(key)
    checked = schema.plain(Settings, schema.check(Settings, settings, ""))
    for kind in CHOICES:
        chosen = config.get(kind)
        if chosen is None and kind not in OPTIONAL:
            raise ConfigError(f"{kind} is not chosen; say {kind}=NAME. Known: {', '.join(registry.names(kind))}")
        checked[kind] = None if chosen is None else registry.check(kind, chosen)
    if checked["name"] is None:
        checked["name"] = checked["data"]["name"]
    if checked["trainer"]["max_steps"] is None and checked["trainer"]["max_epochs"] is None:
        raise ConfigError("how long to train is not said; give trainer.max_steps=N or trainer.max_epochs=N")
    averages = [name for name in ("ema", "average_last", "average_when_stalled") if checked["trainer"][name]]
    if len(averages) > 1:
        names = " and ".join(f"trainer.{name}" for name in averages)
        raise ConfigError(f"{names} are {len(averages)} averages of the weights; give one of them")
    return checked


def unknown_setting(key: str, meant: str | None = None) -> ConfigError:
    """Build the refusal of a key that is no setting of a config; ``meant`` is said where no setting is near."""
    known = [*CHOICES, "experiment", *(option.name for option in schema.options(Settings))]
    near = nearest(key, known) or (f"Did you mean '{meant}'? " if meant else "")
    return ConfigError(f"no setting '{key}'. {near}Known: {', '.join(known)}")

"""How long a run is to be trained, and whether a run that was trained already may be trained longer."""

from collections.abc import Mapping
from typing import Any

from seqkit.config import Config, config_hash
from seqkit.errors import ConfigError, shown
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder, config_difference

LIMITS = ("max_steps", "max_epochs")
FOREVER = 2**62  # steps per pass, where a checkpoint does not say them


def planned_steps(config: Config, epoch: int) -> int:
    """Return the optimizer steps of the whole training: what its limits allow, the first that comes.

    Args:
        config: Of the run.
        epoch: Steps per pass over the training part.
    """
    max_steps, max_epochs = _limits(config)
    limits = [max_steps, max_epochs * epoch if max_epochs is not None else None]
    return min(limit for limit in limits if limit is not None)


def same_but_for_length(old: Config, new: Config) -> bool:
    """Whether two configs compute the same as far as both go: only the limits of training differ, if anything."""
    return config_hash(_with_limits(old, new)) == config_hash(new)


def is_complete(last: Checkpoint, config: Config) -> bool:
    """Whether the training was complete at a checkpoint, and is not to go on beyond that."""
    return last.progress["done"] and _limits(last.config()) == _limits(config)


def refuse_other_config(last: Checkpoint, config: Config, run: RunFolder) -> None:
    """Refuse to go on from a checkpoint under a config that differs in more than a greater length.

    Raises:
        ConfigError: It does; the message names the first option that differs.
    """
    saved = last.config()
    if not same_but_for_length(saved, config):
        raise ConfigError(
            f"{run.config_json} is not the config that {last.path} was trained with "
            f"({config_difference(_with_limits(saved, config), config)}); put it back, or train it as a new run"
        )
    if _limits(saved) == _limits(config):
        return
    epoch = last.metadata.get("steps_per_epoch", FOREVER)
    before, now = planned_steps(saved, epoch), planned_steps(config, epoch)
    if last.progress["done"] and last.step < before:
        raise ConfigError(
            f"{shown(run.path)} ended by early stopping at step {last.step}, not by its length "
            f"({config_difference(saved, config)}); put it back, or train it as a new run"
        )
    if now <= last.step:
        raise ConfigError(
            f"{shown(run.path)} has been trained to step {last.step} already, and would end at step {now} "
            f"({config_difference(saved, config)}); give a larger one, or train it as a new run"
        )


def _limits(config: Mapping[str, Any]) -> tuple[Any, Any]:
    steps, epochs = (config["trainer"][name] for name in LIMITS)
    return steps, epochs


def _with_limits(config: Config, other: Config) -> Config:
    """Return a config with the limits of another."""
    return {**config, "trainer": {**config["trainer"], **{name: other["trainer"][name] for name in LIMITS}}}

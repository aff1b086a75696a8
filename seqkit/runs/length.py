"""How long a run is to be trained, and what else of it may change where it goes on."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from seqkit.config import CIRCUMSTANCES, Config, check, config_hash
from seqkit.errors import ConfigError, shown
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder, config_difference

LIMITS = ("max_steps", "max_epochs")
MAY_CHANGE = (
    *LIMITS, "val_check_interval", "early_stopping_patience", "checkpoint_every_n_steps", "log_every_n_steps",
    "num_workers",
)  # fmt: skip
"""Options of the trainer that are part of a config's hash and may differ between two starts of a run."""
FOREVER = 2**62  # steps per pass, where a checkpoint does not say them


def planned_steps(config: Config, epoch: int) -> int:
    """Return the optimizer steps of the whole training: what its limits allow, the first that comes.

    Args:
        config: Of the run.
        epoch: Steps per pass over the training part.
    """
    max_steps, max_epochs = (config["trainer"][name] for name in LIMITS)
    limits = [max_steps, max_epochs * epoch if max_epochs is not None else None]
    return min(limit for limit in limits if limit is not None)


def with_changes(config: Config, words: Sequence[str]) -> Config:
    """Return a run's config with options changed that may change where it goes on.

    Args:
        config: Of the run, checked.
        words: ``trainer.OPTION=VALUE`` each.

    Raises:
        ConfigError: An option may not change or is unknown, or its value is wrong.
    """
    changed: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        kind, _, option = key.partition(".")
        if not equals or kind != "trainer" or option not in (*MAY_CHANGE, *CIRCUMSTANCES):
            known = ", ".join(f"trainer.{name}" for name in (*MAY_CHANGE, *CIRCUMSTANCES))
            raise ConfigError(f"'{word}' cannot change where a run goes on; train a new run for it. What can: {known}")
        try:
            changed[option] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"cannot read the override '{word}'") from None
    return check({**config, "trainer": {**config["trainer"], **changed}})


def is_continuation(old: Config, new: Config) -> bool:
    """Whether a run of one config may go on with another: they differ in nothing but what may change."""
    return config_hash(_with_changeable(old, new)) == config_hash(new)


def is_complete(last: Checkpoint, config: Config) -> bool:
    """Whether the training was complete at a checkpoint, and is not to go on beyond that."""
    return last.progress["done"] and _changeable(last.config()) == _changeable(config)


def refuse_other_config(last: Checkpoint, config: Config, run: RunFolder) -> None:
    """Refuse to go on from a checkpoint under a config that differs in more than may change, or ends before it.

    Raises:
        ConfigError: It does; the message names the first option that differs.
    """
    saved = last.config()
    if not is_continuation(saved, config):
        raise ConfigError(
            f"{run.config_json} is not the config that {last.path} was trained with "
            f"({config_difference(_with_changeable(saved, config), config)}); put it back, or train it as a new run"
        )
    if _changeable(saved) == _changeable(config):
        return
    epoch = last.metadata.get("steps_per_epoch", FOREVER)
    before, now = planned_steps(saved, epoch), planned_steps(config, epoch)
    patience = config["trainer"]["early_stopping_patience"]
    stopped_early = last.progress["done"] and last.step < before
    if stopped_early and patience is not None and last.progress["waited"] >= patience:
        raise ConfigError(
            f"{shown(run.path)} ended by early stopping at step {last.step}, not by its length "
            f"({config_difference(saved, config)}); give trainer.early_stopping_patience too, more than {patience} or "
            "null, or train it as a new run"
        )
    if now <= last.step:
        raise ConfigError(
            f"{shown(run.path)} has been trained to step {last.step} already, and would end at step {now} "
            f"({config_difference(saved, config)}); give a larger {_limit(config, epoch)}, or train it as a new run"
        )


def _limit(config: Config, epoch: int) -> str:
    """Return the option, with its value, that ends a training."""
    max_steps, max_epochs = (config["trainer"][name] for name in LIMITS)
    by_epochs = max_epochs is not None and (max_steps is None or max_epochs * epoch < max_steps)
    return f"trainer.max_epochs than {max_epochs}" if by_epochs else f"trainer.max_steps than {max_steps}"


def _changeable(config: Mapping[str, Any]) -> list[Any]:
    return [config["trainer"][name] for name in MAY_CHANGE]


def _with_changeable(config: Config, other: Config) -> Config:
    """Return a config with those options of another that may change."""
    return {**config, "trainer": {**config["trainer"], **{name: other["trainer"][name] for name in MAY_CHANGE}}}

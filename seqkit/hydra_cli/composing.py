"""From overrides to a config: what Hydra composes of presets and components, made plain and checked."""

import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from seqkit import plugins, presets, registry
from seqkit.config import CHOICES, Config, check
from seqkit.errors import ConfigError, SeqkitError
from seqkit.hydra_cli.explaining import explain
from seqkit.hydra_cli.nodes import own_hydra, register_preset_folders, store_nodes
from seqkit.hydra_cli.words import key_of, without_null


def compose(overrides: Sequence[str]) -> Config:
    """Compose ``conf/train.yaml`` with overrides such as ``model=gru`` into a checked config.

    Raises:
        ConfigError: An override names or holds something wrong; one line.
    """
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    def composed() -> Any:
        with own_hydra():
            config = hydra_compose("train", overrides=without_null(overrides), return_hydra_config=True)
            OmegaConf.set_struct(config, False)
            return plain(config, config.pop("hydra"))

    load_named_in(overrides)
    try:
        config = with_plugins(composed)
    except SeqkitError:
        raise
    except Exception as error:
        raise explain(error, overrides) from None
    return check(config)


def train(overrides: Sequence[str] = (), fresh: bool = False) -> dict[str, Any]:
    """Train one run and return its report, as ``seqkit train`` does.

    Args:
        overrides: As on the command line: ``["experiment=adding", "model.hidden_size=64"]``.
        fresh: Start over where the run's id exists already.

    Returns:
        What ``report.json`` holds: the run's folder, scores, baselines, hashes, versions.

    Raises:
        SeqkitError: Something in the overrides or the data cannot work.
    """
    from seqkit import experiment

    return experiment.train(compose(overrides), fresh)


def plain(composed: Any, hydra: Any, resolve: bool = True) -> Config:
    """Return what Hydra composed as plain JSON, less the options of presets that the chosen components lack.

    Args:
        composed: Without Hydra's own part, which is ``hydra``.
        hydra: It holds the overrides and the choices that they led to.
        resolve: Replace interpolations by their values, and refuse missing ones.

    Raises:
        ConfigError: As ``presets.leave_out``, or a value is missing.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        config: Any = OmegaConf.to_container(composed, resolve=resolve, throw_on_missing=resolve)
    except OmegaConfBaseException as error:
        raise explain(error) from None
    overrides = [*hydra.overrides.hydra, *hydra.overrides.task]
    typed = {".".join(key_of(text).split(".")[:2]) for text in overrides}

    for text in hydra.overrides.task:
        if text.startswith("~") and "." in key_of(text):
            raise ConfigError(f"{text}: an option cannot be taken away; give it a value, {key_of(text)}=VALUE")

    def own_name(kind: str) -> str | None:
        others = [text for text in overrides if key_of(text).partition(".")[0] != kind]
        return _chosen(str(hydra.job.config_name), others, kind)

    for line in presets.leave_out(config, typed, f"experiment={hydra.runtime.choices.get('experiment')}", own_name):
        print(f"seqkit: {line}", file=sys.stderr)
    return config


def _chosen(config_name: str, overrides: list[str], kind: str) -> str | None:
    """Return the name of the component that overrides lead to, inside Hydra's compose or one of its jobs."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    loader = GlobalHydra.instance().config_loader()
    try:
        composed = loader.load_configuration(config_name, overrides, RunMode.RUN, from_shell=False)
    except Exception as error:
        raise explain(error) from None
    return OmegaConf.select(composed, f"{kind}.name")


def load_named_in(overrides: Sequence[str]) -> None:
    """Load the plugins of the components and presets that overrides name, as far as they are not there yet."""
    for word in overrides:
        key, _, value = word.lstrip("+~").partition("=")
        group = key.partition("@")[0]
        if group not in (*CHOICES, "experiment"):
            continue
        for name in re.findall(r"[^\W\d]\w*", value):  # in model=a,b, in model=[a,b] and in model=choice(a,b)
            is_there = partial(_is_there, group, name)
            if name != "null" and not is_there():
                plugins.search(name, is_there)


def _is_there(group: str, name: str) -> bool:
    """Whether a component or preset is there without loading another plugin."""
    return (group in CHOICES and name in registry.components(group)) or name in presets.summaries(group)


Composed = TypeVar("Composed")


def with_plugins(compose_it: Callable[[], Composed], may_again: Callable[[], bool] = lambda: True) -> Composed:
    """Compose; where a config is missing, compose once more with all plugins loaded, since a preset may name it."""
    from hydra.errors import MissingConfigException

    register_preset_folders()
    store_nodes()
    try:
        return compose_it()
    except MissingConfigException:
        if not may_again() or not plugins.load_all():
            raise
    store_nodes()
    return compose_it()

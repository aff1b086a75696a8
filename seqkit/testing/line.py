"""The components that a line names, such as ``model=mgu model.layer_norm=true``, and the suite of each."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import yaml

from seqkit import registry
from seqkit.errors import ConfigError, SeqkitError, shortened, unknown
from seqkit.faults import fault

Chosen = Mapping[str, Mapping[str, Any]]
"""Components by kind, each as in the config: its name and the options that were given."""

SUITES = {
    "data": "data",
    "frontend": "frontends",
    "head": "heads",
    "logger": "loggers",
    "model": "models",
    "optimizer": "optimizers",
    "scheduler": "schedulers",
    "task": "tasks",
}
"""Module of ``seqkit.testing`` by the kind of component that it checks.

Each has ``suite(chosen) -> (subject, kinds)``: the arguments of ``outcomes`` for the component of its kind.
"""


def parse(words: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the components that words like ``KIND=NAME`` and ``KIND.OPTION=VALUE`` name, their options checked.

    Raises:
        ConfigError: A word is of another form, or names what there is not.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for word in words:
        key, equals, text = word.partition("=")
        kind, _, option = key.partition(".")
        if not equals or not kind:
            raise ConfigError(f"'{shortened(word)}': write KIND=NAME or KIND.OPTION=VALUE, such as model=lstm")
        if kind not in SUITES:
            raise unknown("kind of component with checks", kind, SUITES)
        if option and kind not in chosen:
            raise ConfigError(f"{key}: name the component first, {kind}=NAME {word}")
        chosen.setdefault(kind, {})[option or "name"] = _value(word, text) if option else text
    for kind, config in chosen.items():
        if kind in registry.KINDS:
            registry.check(kind, config)
        else:
            registry.find(kind, config["name"])
    return chosen


def suite(kind: str, chosen: Chosen) -> tuple[Any, tuple[str, ...]]:
    """Return the subject and the kinds of checks of the component of a kind.

    Args:
        kind: One of ``SUITES``.
        chosen: Holds it, and the others on its line, whose spec or sizes it may need.

    Raises:
        SeqkitError: They cannot be built or set up; where a plugin's code raised, with its author's line.
    """
    try:
        return import_module(f"seqkit.testing.{SUITES[kind]}").suite(chosen)
    except SeqkitError:
        raise
    except Exception as error:
        refusal = fault(error)
        if refusal is None:
            raise
        raise refusal from error


def _value(word: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"cannot read the value in '{shortened(word)}'") from None

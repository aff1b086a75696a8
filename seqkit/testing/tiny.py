"""Data sets that are always there, at sizes that a check takes no time for, and networks to go with them."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqkit import registry
from seqkit.contracts.components import Data
from seqkit.data.loading import set_up
from seqkit.data.sea_temperature import SAMPLE
from seqkit.errors import ConfigError, one_line
from seqkit.network import Network, assemble

Component = Mapping[str, Any]
"""A component as in the config: its name and options."""

_SIZES = {"train_size": 16, "valid_size": 7, "test_size": 7, "batch_size": 4}

READY: tuple[dict[str, Any], ...] = (
    {"name": "timing", "distance": 10, "pulses": 3, "offset": 200, "seed": 1, **_SIZES},
    {"name": "sea_temperature", "lookback": 8, "horizon": 3, "season": 4, "split": [60, 14, 14], "batch_size": 4},
    {"name": "text_files", "path": str(SAMPLE.with_name("sea_temperature.LICENSE.txt")), "split": [0.8, 0.1, 0.1],
     "seq_len": 6, "batch_size": 4, "eval_streams": 3},
    {"name": "sequence_table", "path": str(SAMPLE.with_name("walks.csv")), "sequence": "walk", "time_column": "step",
     "inputs": ["x", "y"], "targets": ["speed"], "valid_fraction": 0.2, "test_fraction": 0.2, "batch_size": 4},
    {"name": "tagged_text", "path": str(SAMPLE.with_name("tagged.conll")), "batch_size": 4},
    {"name": "morse", "words": (1, 1), "word_length": (1, 3), "sample_rate": 2000, "wpm": (40.0, 60.0),
     "eval_wpm": 50.0, **_SIZES},
    {"name": "adding", "length": 6, **_SIZES},
    {"name": "python_source", "seq_len": 256, "batch_size": 4, "eval_streams": 3},
)  # fmt: skip
"""Data sets that are always there, with options that make them tiny; quick ones first."""


def sized(config: Component) -> Component:
    """Return a data set's config; a tiny one where nothing but the name of one that is always there is given."""
    if len(config) > 1:
        return config
    return next((tiny for tiny in READY if tiny["name"] == config["name"]), config)


def data_set(config: Component) -> Data:
    """Return the data set that a config names, set up, and tiny where it gives nothing but the name."""
    data = registry.build("data", sized(config))
    set_up(data)
    return data


def network(data: Data, chosen: Mapping[str, Component] | None = None) -> Network:
    """Return a network for some data, in evaluation mode.

    Args:
        data: Set up.
        chosen: Components by kind; a small GRU and the ends that the spec names if left out.
    """
    parts = {"frontend": None, "model": {"name": "gru", "hidden_size": 6}, "head": None, **(chosen or {})}
    return assemble(parts, data.spec).eval()


def served_by(head: Component) -> Data:
    """Return the first data set whose task names the head, or else the first that the head can be built for.

    Raises:
        ConfigError: There is none; says what the head said of the last.
    """
    others = []
    for data in _ready():
        if data.spec.task.head == head["name"]:
            return data
        others.append(data)
    reason = "there are none"
    for data in others:
        try:
            network(data, {"head": head})
        except Exception as error:
            reason = one_line(error)
        else:
            return data
    raise ConfigError(f"head={head['name']} serves none of the data sets that are always there; name one ({reason})")


def of_task(name: str) -> Data:
    """Return the first data set of a task; raises ConfigError where there is none."""
    kind = registry.find("task", name).factory
    for data in _ready():
        if type(data.spec.task) is kind:
            return data
    raise ConfigError(f"task={name} is that of no data set that is always there; name one that has it")


def _ready() -> Iterator[Data]:
    """Yield the data sets that seqkit brings, then those of plugins that need no options."""
    names = [tiny["name"] for tiny in READY]
    for name in [*names, *(name for name in registry.names("data") if name not in names)]:
        try:
            yield data_set({"name": name})
        except Exception:  # it needs options, or is faulty: not one to take unasked
            continue

"""The weights that a run starts from: those of another run, as far as they fit."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqkit.errors import ConfigError, SeqkitError, shown
from seqkit.network import Network
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.resuming import checkpoint_named

LOG = logging.getLogger("seqkit")
SOME = 3  # reasons in a refusal


@dataclass
class Taken:
    """What a network has taken of another one's weights.

    Attributes:
        whole: Names of the tensors taken as they are.
        rows: Names of those of which rows were taken by the name of the row, with how many of how many.
        left_out: Names of those that stay as they were drawn, with the reason.
        ignored: Names of the other network's that have no place here.
    """

    whole: list[str] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


def source_of(init_from: str) -> Path:
    """Return the checkpoint that ``init_from`` names, a run or a file.

    Raises:
        ConfigError: There is none; one line.
    """
    try:
        return checkpoint_named(Path(init_from).expanduser())
    except SeqkitError as error:
        raise ConfigError(f"init_from={init_from}: {error}") from None


def start_from(network: Network, init_from: str) -> dict[str, Any]:
    """Give a network the weights of a run, as far as they fit, say so, and return their provenance as plain JSON.

    Args:
        network: With its initial weights, which stay where nothing fits.
        init_from: Folder of the run, or a checkpoint.

    Raises:
        ConfigError: There is no such checkpoint, or none of its weights fits.
    """
    path = source_of(init_from)
    try:
        saved = Checkpoint.read(path)
        other = saved.network()
    except SeqkitError as error:
        raise ConfigError(f"init_from={init_from}: {error}") from None
    taken = take_weights(network, other)
    if not taken.whole and not taken.rows:
        reasons = [f"{name} ({reason})" for name, reason in list(taken.left_out.items())[:SOME]]
        raise ConfigError(f"init_from={init_from}: none of its weights fits: {', '.join(reasons)}")
    _say(taken, path, saved.step)
    if reason := other_columns_reason(network, other):
        LOG.warning("%s", reason)
    config = saved.metadata["config"]
    return {
        "path": str(path),
        "run": f"{config['name']}/{config['id']}",
        "step": saved.step,
        "sha256": sha256(path.read_bytes()).hexdigest(),
        "config_hash": saved.metadata["hash"],
        **asdict(taken),
    }


@torch.no_grad()
def take_weights(network: Network, other: Network) -> Taken:
    """Copy each tensor of another network's state that has the same name and shape in the same component.

    Where modules say in ``row_names`` what each row of a parameter stands for, a token or a class, rows go by that.
    """
    taken = Taken()
    theirs, own_rows, their_rows = other.state_dict(), row_names(network), row_names(other)
    done: dict[int, str] = {}  # names by the memory of their tensors, which tied ones share
    for name, own in network.state_dict().items():
        part = name.partition(".")[0]
        there, here = (each.made_by[part].name for each in (other, network))
        source = theirs.pop(name, None)
        if (same := done.setdefault(own.data_ptr(), name)) != name and own.numel():
            taken.left_out[name] = f"here the same as {same}"
        elif there != here:
            taken.left_out[name] = f"{part}={there} there, {part}={here} here"
        elif source is None:
            taken.left_out[name] = "not there"
        elif own_rows.get(name) != their_rows.get(name) and source.shape[1:] == own.shape[1:]:
            count = _copy_rows(own, source, own_rows.get(name, ()), their_rows.get(name, ()))
            if count:
                taken.rows[name] = f"{count:,} of {len(own):,}"
            else:
                taken.left_out[name] = "none of its rows is there"
        elif source.shape != own.shape:
            taken.left_out[name] = f"{tuple(source.shape)} there, {tuple(own.shape)} here"
        else:
            own.copy_(source)
            taken.whole.append(name)
    taken.ignored = list(theirs)
    return taken


def row_names(network: nn.Module) -> dict[str, Sequence[str]]:
    """Return what each row of a parameter stands for, by the parameter's name, as modules say in ``row_names``."""
    return {
        f"{name}.{own}": rows
        for name, module in network.named_modules()
        for own, rows in getattr(module, "row_names", {}).items()
    }


def other_columns_reason(network: Network, other: Network) -> str:
    """Return how the columns that two networks read differ, where each takes the weights of another; else ""."""
    there, here = (getattr(one.frontend, "column_names", ()) for one in (other, network))
    if there == here or len(there) != len(here):
        return ""
    listed = f"{','.join(there)} there, {','.join(here)} here"
    return f"the columns are others, {listed}: each takes the weights of the one in its place"


def _copy_rows(own: Tensor, source: Tensor, own_rows: Sequence[str], their_rows: Sequence[str]) -> int:
    """Copy the rows whose names are in both, and return their number."""
    places = {name: place for place, name in enumerate(their_rows)}
    pairs = [(place, places[name]) for place, name in enumerate(own_rows) if name in places]
    if pairs:
        here, there = torch.tensor(pairs).unbind(1)
        own[here] = source[there].to(own.dtype)
    return len(pairs)


def _say(taken: Taken, path: Path, step: int) -> None:
    LOG.info("starting from %s, step %d: %s", shown(path.resolve()), step, ", ".join(taken.whole) or "nothing whole")
    for name, count in taken.rows.items():
        LOG.info("of %s the rows that both have, %s", name, count)
    if taken.left_out:
        LOG.info("left out: %s", ", ".join(f"{name} ({reason})" for name, reason in taken.left_out.items()))
    if taken.ignored:
        LOG.info("of no use here: %s", ", ".join(taken.ignored))

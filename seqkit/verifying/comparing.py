"""The first difference of two runs, to the bit and by name."""

import json
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from seqkit.errors import SeqkitError
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder

SCORES = ("test", "valid", "baselines", "best_step")
"""Of a report: what is computed, not when or how long."""


def first_difference(whole: RunFolder, resumed: RunFolder) -> str:
    """Return where two runs of one config differ first, in words, or an empty string.

    Compared are ``last.ckpt`` (weights, optimizer, schedule, loops, random generators and carried state of every rank),
    ``best.ckpt``, ``metrics.csv``, and of the reports, where both are there, the scores.
    """
    return next(_differences(whole, resumed), "")


def _differences(whole: RunFolder, resumed: RunFolder) -> Iterator[str]:
    for one, other in ((whole.last, resumed.last), (whole.best, resumed.best)):
        try:
            content, its = _comparable(Checkpoint.read(one)), _comparable(Checkpoint.read(other))
        except SeqkitError as error:
            yield str(error)
            continue
        yield from (f"{other.name}: {line}" for line in value_differences(content, its))
    lines, others = (run.metrics_csv.read_text().split("\n") for run in (whole, resumed))
    yield from (f"{whole.metrics_csv.name}, line {line}" for line in value_differences(lines, others, start=1))
    report, its_report = whole.read_report(), resumed.read_report()
    if report and its_report:
        scores, its_scores = ({key: one.get(key) for key in SCORES} for one in (report, its_report))
        yield from (f"{whole.report_json.name}: {line}" for line in value_differences(scores, its_scores))


def _comparable(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint's content without its run's place and times; the conditions say which backends ran."""
    own = {key: value for key, value in checkpoint.metadata.items() if key not in ("config", "seconds", "backends")}
    return {**checkpoint.content, "seqkit": own}  # own["hash"] is that of the config, less its run's place


def value_differences(one: Any, other: Any, where: str = "", start: int = 0) -> Iterator[str]:
    """Yield the differences of two trees of tensors and plain values, each as one line.

    Args:
        one: Of dicts, lists and tuples.
        other: The same.
        where: Name of the two.
        start: Number of a list's first item.
    """
    if type(one) is not type(other):
        yield f"{where}: {_brief(one)} and {_brief(other)}"
    elif isinstance(one, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            inside = _inside(where, key)
            if key in one and key in other:
                yield from value_differences(one[key], other[key], inside)
            else:
                yield f"{inside}: only in the {'uninterrupted' if key in one else 'resumed'} run"
    elif isinstance(one, list | tuple):
        for number, (first, second) in enumerate(zip(one, other, strict=False), start):
            yield from value_differences(first, second, f"{where}[{number}]" if where else str(number))
        if len(one) != len(other):
            yield f"{where or 'end'}: {len(one)} and {len(other)} items"
    elif isinstance(one, Tensor):
        if line := _tensor_difference(one, other):
            yield f"{where}: {line}"
    elif isinstance(one, float):
        if one.hex() != other.hex():  # tells -0.0 from 0.0, and takes NaN for NaN
            yield f"{where}: {one!r} and {other!r}"
    elif one != other:
        yield f"{where}: {_brief(one)} and {_brief(other)}"


def _tensor_difference(one: Tensor, other: Tensor) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype} of shape {tuple(one.shape)} and {other.dtype} of shape {tuple(other.shape)}"
    differ = _differing(one, other)
    count = int(differ.sum())
    if not count:
        return ""
    first = torch.nonzero(differ)[0].tolist()
    values = [part[tuple(first)].item() for part in (one, other)]
    place = f", first at {first}" if first else ""
    return f"{count} of {one.numel()} values differ{place}: {values[0]!r} and {values[1]!r}"


def _differing(one: Tensor, other: Tensor) -> Tensor:
    """Return where two tensors of one shape and dtype have other bits, as a mask of their shape."""
    if not one.numel():
        return torch.zeros(one.shape, dtype=torch.bool)
    bytes_ = [part.contiguous().reshape(-1, 1).view(torch.uint8) for part in (one, other)]
    return (bytes_[0] != bytes_[1]).any(1).reshape(one.shape)


def _inside(where: str, key: Any) -> str:
    if isinstance(key, str) and key.isidentifier():
        return f"{where}.{key}" if where else key
    return f"{where}[{key!r}]"


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."

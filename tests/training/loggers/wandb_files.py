"""Reading the file of a wandb run: a LevelDB log of protobuf records in blocks of 32 KiB."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

HEADER, BLOCK, LAST_PARTS = 7, 32768, (1, 4)


def records(path: Path) -> Iterator[Record]:
    """Yield the whole records of a file."""
    content, position, record = path.read_bytes(), HEADER, b""
    while position + HEADER <= len(content):
        left = BLOCK - position % BLOCK
        if left < HEADER:
            position += left
            continue
        length, kind = int.from_bytes(content[position + 4 : position + 6], "little"), content[position + 6]
        record += content[position + HEADER : position + HEADER + length]
        position += HEADER + length
        if kind in LAST_PARTS:
            yield Record.FromString(record)
            record = b""


def history(path: Path) -> list[dict[str, Any]]:
    """Return the rows of the run: step and metrics."""
    return [
        {
            "step": one.history.step.num,
            **{item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in one.history.item},
        }
        for one in records(path)
        if one.HasField("history")
    ]

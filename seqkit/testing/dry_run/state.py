"""The content of a checkpoint: plain, and the same when it was written and read."""

import io
from typing import Any

import torch

from seqkit.network import Network
from seqkit.runs.checkpoint import refuse_if_not_plain
from seqkit.testing.dry_run.trial import Trial


def try_checkpoint(trial: Trial, network: Network, optimizer: Any, scheduler: Any, metadata: dict[str, Any]) -> None:
    """Write a checkpoint's content into memory and put it back into the objects that it came from."""
    states = {"state_dict": network, "optimizer_states": optimizer, "lr_schedulers": scheduler}
    content: dict[str, Any] = {"seqkit": metadata}
    for kind, (name, owner) in zip(("model", "optimizer", "scheduler"), states.items(), strict=True):
        with trial.part(kind, doing="state_dict"):
            content[name] = owner.state_dict()
    refuse_if_not_plain(content)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    buffer.seek(0)
    saved = torch.load(buffer, map_location="cpu", weights_only=True)
    for kind, (name, owner) in zip(("model", "optimizer", "scheduler"), states.items(), strict=True):
        with trial.part(kind, doing="load_state_dict"):
            owner.load_state_dict(saved[name])

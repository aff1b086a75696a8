"""Tiny trainings, to compare one that was killed and continued with one that never was."""

from collections.abc import Mapping
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from seqkit import registry
from seqkit.config import Config, check
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder
from seqkit.runs.log import quiet_lightning
from seqkit.runs.metadata import metadata
from seqkit.testing.check import CheckError
from seqkit.testing.compare import largest
from seqkit.testing.line import Chosen

TINY: Mapping[str, Any] = {
    "data": {"name": "adding", "length": 6, "train_size": 12, "valid_size": 4, "test_size": 4, "batch_size": 4},
    "model": {"name": "elman", "hidden_size": 3},
    "optimizer": "adamw",
    "scheduler": "cosine",
}
"""Three steps an epoch, and one batch of validation."""

STEPS, DIES_AT = 5, 4


class _Killed(BaseException):
    """Stands for a SIGKILL."""


class _Dying:
    """Data during the loading of whose batch a training is killed."""

    def __init__(self, data: Any, batch: int) -> None:
        self._data, self._left = data, batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def collate(self, samples: list[Any]) -> Any:
        self._left -= 1
        if not self._left:
            raise _Killed
        return self._data.collate(samples)


def require_exact_resume(chosen: Chosen) -> None:
    """Train a tiny run twice, once killed halfway and continued; raises ``CheckError`` where the weights differ.

    Args:
        chosen: Components to train, by kind; the adding problem and small defaults for the other kinds.
    """
    config = tiny_config(chosen)
    with TemporaryDirectory() as folder, redirect_stderr(StringIO()):  # of the progress bar
        whole, halfway = RunFolder(Path(folder, "whole")), RunFolder(Path(folder, "halfway"))
        train(config, whole)
        with suppress(_Killed):
            train(config, halfway, dies_at=DIES_AT)
        train(config, halfway, Checkpoint.read(halfway.last))
        due, found = weights(whole), weights(halfway)
    different = [name for name in due if largest((found[name],), (due[name],)) > 0]
    if different:
        by = max(largest((found[name],), (due[name],)) for name in different)
        raise CheckError(
            f"killed and continued, {len(different)} of {len(due)} weights end up to {by:.1g} away from those of a "
            "training that was not; keep what changes in buffers or the state dict, and draw from torch's generator"
        )


def tiny_config(chosen: Chosen) -> Config:
    """Return the checked config of a training of a few steps."""
    kinds = {kind: component for kind, component in {**TINY, **chosen}.items() if kind in registry.KINDS}
    named = {kind: {"name": one} if isinstance(one, str) else dict(one) for kind, one in kinds.items()}
    trainer = {
        "name": "lightning", "accelerator": "cpu", "max_steps": STEPS, "val_check_interval": 3,
        "checkpoint_every_n_steps": 1,
    }  # fmt: skip
    return check({**named, "trainer": trainer, "seed": 1})


def train(config: Config, run: RunFolder, last: Checkpoint | None = None, dies_at: int = 0) -> None:
    """Train a run to its end, or until it is killed.

    Args:
        config: Of the run.
        run: Its folder.
        last: Checkpoint to go on from.
        dies_at: Batch, counted from 1 and those of validation too, at whose loading it is killed; 0 for never.
    """
    from seqkit.training.fit import fit, open_loggers  # Lightning: only to train

    run.path.mkdir(exist_ok=True)
    data = registry.build("data", config["data"])
    data.setup()
    quiet_lightning()
    loggers = open_loggers(config, run, last)
    try:
        fit(config, _Dying(data, dies_at), run, metadata(config, data), last, loggers, False)
    finally:
        loggers.close()


def weights(run: RunFolder) -> dict[str, Tensor]:
    """Return the weights of a run's last checkpoint, and the tensors of its optimizer's state."""
    last = Checkpoint.read(run.last)
    found = dict(last.weights)
    for number, state in last.content["optimizer_states"][0]["state"].items():
        found |= {f"optimizer {number} {key}": value for key, value in state.items() if isinstance(value, Tensor)}
    return found

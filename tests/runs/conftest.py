"""Two tiny runs, made once: a finished one, and one that was killed half way."""

import shutil
from pathlib import Path

import pytest
import torch

import seqkit
from seqkit.training.module import SequenceModule

TINY = [
    "data=adding", "data.length=6", "data.train_size=32", "data.valid_size=8", "data.test_size=8", "data.batch_size=8",
    "model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=6", "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1", "trainer.checkpoint_every_n_steps=1", "name=tiny",
]  # fmt: skip


class Killed(BaseException):
    """Stands for a SIGKILL."""


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("originals")
    seqkit.train([*TINY, f"runs={folder}", "id=finished"])
    step = SequenceModule.training_step

    def dying(self, batch, batch_idx):
        if batch_idx == 4:
            raise Killed
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SequenceModule, "training_step", dying)
        with pytest.raises(Killed):
            seqkit.train([*TINY, f"runs={folder}", "id=halfway"])
    return folder / "tiny"


@pytest.fixture
def finished(originals) -> Path:
    return Path(shutil.copytree(originals / "finished", "runs/tiny/finished"))


@pytest.fixture
def halfway(originals) -> Path:
    return Path(shutil.copytree(originals / "halfway", "runs/tiny/halfway"))

"""What every test shares: one thread, an empty current folder, small real data, tiny runs."""

import gc
import logging
import shutil
from pathlib import Path

import pytest
import torch

TINY = [
    "data=adding", "data.length=6", "data.train_size=32", "data.valid_size=8", "data.test_size=8", "data.batch_size=8",
    "model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=6", "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1", "trainer.checkpoint_every_n_steps=1", "name=tiny",
]  # fmt: skip

SHARED = Path(__file__).parents[2] / "shared" / "data"

LONG = (
    "test_readme.py", "test_ranks.py", "test_resume.py", "test_wheel.py", "test_runners.py", "test_export.py",
    "test_verify_resume.py", "test_docs.py", "test_launch.py", "test_scores_over_ranks.py", "test_trust.py",
)  # fmt: skip
"""Files with tests of ten seconds and more."""

LAID_OUT = {"report", "tasks", "commands", "sweeping", "test_forecast.py", "test_plugin_tasks.py"}
"""Folders and files whose figures are laid out; elsewhere that is a fifth of a tiny training."""


def pytest_collection_modifyitems(items):
    """Begin with the long tests, as one of them at the end would leave the other workers without work."""
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_collection_finish():
    """Look for garbage less often: a tenth of the time of tests that compose configs went there."""
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def _alone(request, monkeypatch, tmp_path):
    """Run each test in an empty folder, on one thread, away from the user's accounts."""
    if not LAID_OUT & {request.path.parent.name, request.path.parents[1].name, request.path.name}:
        monkeypatch.setattr("matplotlib.layout_engine.ConstrainedLayoutEngine.execute", lambda *_: None)
    logging.getLogger("seqkit").setLevel(logging.NOTSET)  # a command that ran in this process may have changed it
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("SEQKIT_HOME", str(tmp_path / ".seqkit"))
    monkeypatch.setenv("SEQKIT_PLUGINS", "")
    monkeypatch.setenv("SEQKIT_MEASURE", "0")  # what is the fastest depends on the machine and its other work
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shared():
    """Return the folder of development data sets; skip where there is none."""
    if not SHARED.is_dir():
        pytest.skip("the development data sets are not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def one_table_of_translations():
    """Let torch make its table of translations into ONNX, the slowest part of a small export, once."""
    pytest.importorskip("onnxscript")
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    table = ONNXRegistry.from_torchlib()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", lambda *_, **__: table)
        yield


class Killed(BaseException):
    """Stands for a SIGKILL."""


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    """Return the folder of two tiny runs: one finished, one killed after step 4."""
    import seqkit
    from seqkit.training.module import SequenceModule

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
    """Return a copy of the finished run."""
    return Path(shutil.copytree(originals / "finished", "runs/tiny/finished"))


@pytest.fixture
def halfway(originals) -> Path:
    """Return a copy of the killed run."""
    return Path(shutil.copytree(originals / "halfway", "runs/tiny/halfway"))

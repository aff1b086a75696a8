"""A run killed at any moment and resumed ends with the very weights of one that was never killed."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch

from seqkit.experiment import resume, train
from seqkit.hydra_cli import compose

# 5 steps an epoch (a last smaller batch), validation every 4 steps, a checkpoint every step, dropout on
ADDING = [
    "data=adding", "data.length=6", "data.train_size=18", "data.valid_size=8", "data.test_size=8", "data.batch_size=4",
    "model.hidden_size=4", "model.num_layers=2", "model.dropout=0.3", "optimizer.lr=0.01",
    "trainer.accelerator=cpu", "trainer.max_steps=14", "trainer.val_check_interval=4",
    "trainer.checkpoint_every_n_steps=1", "trainer.log_every_n_steps=1", "scheduler.warmup=3",
]  # fmt: skip


def text_file(folder: Path) -> list[str]:
    path = folder / "text.txt"
    path.write_text("".join(f"line {i} of a text that is {i * i} long\n" for i in range(120)))
    return [
        "data=text_files", f"data.path={path}", "data.split=[0.7,0.15,0.15]", "data.batch_size=4", "data.seq_len=32",
        "data.eval_streams=2", "data.random_seq_len=true", "model.hidden_size=6", "model.num_layers=2", "model.dropout=0.3",
        "trainer.accelerator=cpu", "trainer.max_steps=null", "trainer.max_epochs=2",
        "trainer.val_check_interval=9",
        "trainer.checkpoint_every_n_steps=4",
    ]  # fmt: skip


def series(folder: Path) -> list[str]:
    return [
        "data=sea_temperature", "data.lookback=8", "data.horizon=2", "data.split=[400,40,40]", "data.batch_size=32",
        "model=peephole_lstm", "model.hidden_size=6", "model.num_layers=2", "model.dropout=0.3",
        "trainer.accelerator=cpu", "trainer.max_steps=null", "trainer.max_epochs=2",
        "trainer.val_check_interval=9",
        "trainer.checkpoint_every_n_steps=4",
    ]  # fmt: skip


def audio(folder: Path) -> list[str]:
    return [
        "data=morse", "data.train_size=48", "data.valid_size=8", "data.test_size=4", "data.words=[1,1]", "data.batch_size=4",
        "model=gru", "model.hidden_size=6", "model.bidirectional=true", "model.num_layers=2", "model.dropout=0.3",
        "trainer.accelerator=cpu", "trainer.max_steps=null", "trainer.max_epochs=2",
        "trainer.val_check_interval=9",
        "trainer.checkpoint_every_n_steps=4",
    ]  # fmt: skip


class Killed(BaseException):
    """Stands for a SIGKILL: nothing of ours may catch it."""


def die_by_exception() -> None:
    raise Killed


def die_by_signal() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(patch, where: str, count: int, die) -> None:
    """Die at the ``count``-th call of a method of the task or at the ``count``-th save of a checkpoint."""
    from seqkit.training import callbacks, module

    owner = callbacks.CheckpointFiles if where == "save_checkpoint" else module.SequenceModule
    original, calls = getattr(owner, where), []

    def dying(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == count:
            die()
        return original(self, *args, **kwargs)

    patch.setattr(owner, where, dying)


def outcome(run: str) -> tuple[dict, list[str]]:
    saved = torch.load(Path(run) / "checkpoints" / "last.ckpt", weights_only=True)
    best = torch.load(Path(run) / "checkpoints" / "best.ckpt", weights_only=True)
    optimizer = saved["optimizer_states"][0]["state"]
    tensors = {**saved["state_dict"], **{f"best {key}": value for key, value in best["state_dict"].items()}}
    for number, state in optimizer.items():
        tensors |= {f"optimizer {number} {key}": value for key, value in state.items()}
    return tensors, (Path(run) / "metrics.csv").read_text().splitlines()


def assert_equal(first: tuple[dict, list[str]], second: tuple[dict, list[str]]) -> None:
    assert first[0].keys() == second[0].keys()
    for key, value in first[0].items():
        assert torch.equal(value, second[0][key]), key
    assert first[1] == second[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the outcome of the run that was never killed."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    return outcome(train(compose([*ADDING, f"runs={folder}"]))["run"])


MOMENTS = [
    *(("training_step", count) for count in range(2, 15)),  # each step but the first: epochs end after 5 and 10
    *(("validation_step", count) for count in (1, 2, 3, 4, 8)),
    *(("save_checkpoint", count) for count in (3, 5, 6, 12)),
]


@pytest.mark.parametrize(("where", "count"), MOMENTS)
def test_killed_at_any_moment(where, count, whole, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, where, count, die_by_exception)
        with pytest.raises(Killed):
            train(compose([*ADDING, f"runs={tmp_path}", "id=run"]))
    assert_equal(outcome(resume(tmp_path / "adding" / "run")["run"]), whole)


@pytest.mark.parametrize("change", [
    ["trainer.accumulate_grad_batches=2"],
    ["trainer.num_workers=2"],
    ["scheduler=plateau", "scheduler.patience=0"],
    ["trainer.early_stopping_patience=2"],
    ["trainer.max_steps=null", "trainer.max_epochs=2", "trainer.val_check_interval=null"],
])  # fmt: skip
def test_killed_with_other_options(change, tmp_path):
    whole = outcome(train(compose([*ADDING, *change, f"runs={tmp_path}", "id=whole"]))["run"])
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, "training_step", 7, die_by_exception)
        with pytest.raises(Killed):
            train(compose([*ADDING, *change, f"runs={tmp_path}", "id=killed"]))
    assert_equal(outcome(resume(tmp_path / "adding" / "killed")["run"]), whole)


def killed_process(overrides: list[str], where: str, count: int) -> None:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, where, count, die_by_signal)
        train(compose(overrides))


MID_EPOCH, LAST_BATCH, VALIDATING = ("training_step", -3), ("training_step", 0), ("validation_step", 2)


@pytest.mark.parametrize(
    ("kind", "moments"),
    [(text_file, [MID_EPOCH, LAST_BATCH, VALIDATING]), (series, [LAST_BATCH]), (audio, [MID_EPOCH])],
)
def test_sigkill_mid_epoch_at_its_last_batch_and_while_validating(kind, moments, tmp_path):
    torch.set_num_threads(1)
    overrides = [*kind(tmp_path), f"runs={tmp_path}", "name=kill"]
    whole = train(compose([*overrides, "id=whole"]))
    epoch = torch.load(Path(whole["run"]) / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] // 2
    assert epoch > 9
    # A server that has imported everything, so that each process starts at once and shares nothing with this one.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seqkit.report.facts", "lightning.pytorch", "torchmetrics", __name__])
    for where, number in moments:
        count = epoch + number if where == "training_step" else number
        place = f"{where}-{count}"
        process = context.Process(target=killed_process, args=([*overrides, f"id={place}"], where, count))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        again = resume(tmp_path / "kill" / place)
        assert_equal(outcome(again["run"]), outcome(whole["run"]))
        assert again["test"] == whole["test"]

import io
import random
import zipfile
from collections import OrderedDict
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from seqkit.errors import ConfigError, TrainingError
from seqkit.network import assemble
from seqkit.runs import checkpoint
from seqkit.runs.checkpoint import Checkpoint
from seqkit.training.callbacks import CheckpointFiles


@pytest.mark.parametrize("name", ["best", "last"])
def test_each_of_100_flipped_bits_is_found_and_the_file_named(name, originals, tmp_path):
    raw = bytearray((originals / "finished" / "checkpoints" / f"{name}.ckpt").read_bytes())
    draw, path = random.Random(0), tmp_path / "flipped.ckpt"
    for place in [*draw.sample(range(len(raw)), 97), 0, len(raw) - 1, len(raw) - 90]:
        raw[place] ^= 1 << (bit := draw.randrange(8))
        path.write_bytes(raw)
        with pytest.raises(ConfigError) as refusal:
            checkpoint.read(path)
        assert str(refusal.value).startswith(f"{path} is not a checkpoint of seqkit, or is damaged: "), (place, bit)
        raw[place] ^= 1 << bit
    path.write_bytes(raw)
    checkpoint.read(path)


def test_a_flipped_bit_of_a_tensor_is_found_in_its_record(originals, tmp_path):
    raw = bytearray((originals / "finished" / "checkpoints" / "best.ckpt").read_bytes())
    with zipfile.ZipFile(originals / "finished" / "checkpoints" / "best.ckpt") as archive:
        content = archive.read("archive/data/1")
    raw[raw.index(content)] ^= 1
    (tmp_path / "x.ckpt").write_bytes(raw)
    with pytest.raises(ConfigError, match="its record 'archive/data/1' does not have the checksum"):
        checkpoint.read(tmp_path / "x.ckpt")


def test_what_is_written_is_read(originals, tmp_path):
    saved = checkpoint.read(originals / "finished" / "checkpoints" / "best.ckpt")
    checkpoint.write(tmp_path / "deep" / "again.ckpt", saved)
    again = Checkpoint.read(tmp_path / "deep" / "again.ckpt")
    assert again.step == saved["global_step"]
    assert all(torch.equal(value, saved["state_dict"][f"network.{name}"]) for name, value in again.weights.items())
    network = again.network()
    assert all(torch.equal(value, again.weights[name]) for name, value in network.state_dict().items())
    assert torch.load(tmp_path / "deep" / "again.ckpt", weights_only=True)["global_step"] == again.step  # a plain zip


def test_ordinary_torch_reads_of_random_state_are_not_disturbed(originals):
    saved = Checkpoint.read(originals / "finished" / "checkpoints" / "best.ckpt")
    torch.manual_seed(3)
    assemble(saved.config(), saved.spec())
    once = torch.rand(1)
    torch.manual_seed(3)
    saved.network()
    assert torch.equal(torch.rand(1), once)


@pytest.mark.parametrize(("value", "reason"), [
    ({"a": [1, {"b": Path("x")}]}, "state['a'][1]['b'] is a PosixPath, x"),
    ({Path("x"): 1}, "a key of state is a PosixPath, x"),
    ([len], "state[0] is a builtin_function_or_method, <built-in function len>"),
    ({"n": [1, 2.5, "s", None, True, b"b", (1,), {2}], "t": torch.zeros(2), "d": torch.float32, "e": {}, "l": []}, ""),
    (OrderedDict(a=torch.nn.Parameter(torch.zeros(1))), ""),
])  # fmt: skip
def test_what_is_not_plain_is_named(value, reason):
    assert checkpoint.not_plain_reason(value, "state") == reason
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    with nullcontext() if not reason else pytest.raises(Exception, match="Weights only load failed"):
        torch.load(buffer, weights_only=True)


def test_a_state_that_is_not_plain_is_refused_at_the_first_save(tmp_path):
    with pytest.raises(TrainingError) as refusal:
        CheckpointFiles().save_checkpoint({"lr_schedulers": [{"plan": Path("plan.csv")}]}, tmp_path / "last.ckpt")
    assert str(refusal.value) == (
        "no checkpoint can be saved, since it could not be read again: the scheduler's state[0]['plan'] is a PosixPath, "
        "plan.csv; keep tensors, numbers, strings, lists and dicts"
    )
    assert not (tmp_path / "last.ckpt").exists()

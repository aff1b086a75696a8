import random
import zipfile

import pytest
import torch

from seqkit.errors import ConfigError
from seqkit.network import assemble
from seqkit.runs import checkpoint
from seqkit.runs.checkpoint import Checkpoint


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

"""Interruptions come at the moment that SEQKIT_INTERRUPT names, once, on the rank that it names."""

import signal

import pytest

import seqkit
from seqkit import interrupting
from seqkit.errors import ConfigError
from tests.conftest import TINY


@pytest.fixture(autouse=True)
def _counted_anew():
    interrupting.parse.cache_clear()


@pytest.fixture
def signals(monkeypatch):
    """Return the list that each SIGUSR2 is added to, which training leaves alone."""
    seen = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: seen.append(number))
    yield seen
    signal.signal(signal.SIGUSR2, before)


# Four batches per epoch, two per step, a validation every two steps and after the last of three.
IN_ORDER = [
    "data", "batch=1", "before=1", "step=1", "renaming=last.ckpt", "epoch=1", "validation=2", "renamed=best.ckpt",
    "writing=last.ckpt,nth=2", "validation=last", "report",
    "renaming=report.json",
]  # fmt: skip


def test_moments_come_in_their_order(signals, monkeypatch, capfd):
    words = [f"SIGUSR2@{moment}" for moment in IN_ORDER]
    monkeypatch.setenv(interrupting.VARIABLE, ";".join(reversed(words)))
    seqkit.train([*TINY, "trainer.max_steps=3", "trainer.accumulate_grad_batches=2"])
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith(interrupting.VARIABLE)]
    assert lines == [interrupting.said(word) for word in words]
    assert len(signals) == len(IN_ORDER)


def test_writing_is_half_of_a_checkpoint(monkeypatch, finished, tmp_path):
    from seqkit.runs import checkpoint

    monkeypatch.setenv(interrupting.VARIABLE, "SIGUSR2@writing=half.ckpt")
    sizes = []

    def look(number, frame):
        sizes.extend(draft.stat().st_size for draft in tmp_path.glob(".half.ckpt.*.tmp"))

    before = signal.signal(signal.SIGUSR2, look)
    content = checkpoint.read(finished / "checkpoints" / "last.ckpt")
    checkpoint.write(tmp_path / "half.ckpt", content)
    signal.signal(signal.SIGUSR2, before)
    assert len(sizes) == 1
    assert sizes[0] == pytest.approx((tmp_path / "half.ckpt").stat().st_size / 2, abs=100)
    assert checkpoint.read(tmp_path / "half.ckpt")["global_step"] == content["global_step"]


@pytest.mark.parametrize(("variable", "rank"), [("RANK", "1"), ("SLURM_PROCID", "1")])
def test_one_rank_alone_is_interrupted(variable, rank, signals, monkeypatch):
    monkeypatch.setenv(interrupting.VARIABLE, "SIGUSR2@step=7,rank=1,nth=2")
    for _ in range(3):
        interrupting.reached("step", 7)
    assert not signals
    monkeypatch.setenv(variable, rank)
    for count in (0, 1, 1):
        interrupting.reached("step", 8)
        interrupting.reached("step", 7)
        assert len(signals) == count


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SIGKILL", "write SIGNAL@MOMENT"),
        ("SIGKILL@slow=1", "write SIGNAL@MOMENT"),
        ("SIGKIL@step=1", "Did you mean 'SIGKILL'"),
        ("SIGKILL@stp=1", "Did you mean 'step'"),
        ("SIGKILL@step=1,rnk=1", "Did you mean 'rank'"),
        ("SIGKILL@step=1,rank=one", "'SIGKILL@step=1,rank=one'"),
        ("slow=much", "'slow=much'"),
    ],
)
def test_what_cannot_be_read_is_refused(text, reason):
    with pytest.raises(ConfigError, match=reason):
        interrupting.parse(text)

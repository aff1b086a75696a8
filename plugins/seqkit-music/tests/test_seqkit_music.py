"""Music trains from MIDI files to MIDI files, and its likelihood is the one of the formula."""

import json
import math
from pathlib import Path

import pytest
import torch

import seqkit
from seqkit import Batch, DataError
from seqkit.__main__ import run

mido = pytest.importorskip("mido")

from seqkit_music.baselines import note_frequencies, repeat_last  # noqa: E402
from seqkit_music.midi import read_midi, write_midi  # noqa: E402
from seqkit_music.rolls import KEYS, note_name, notes_of, roll_of  # noqa: E402
from seqkit_music.task import Notes, NotesPrediction  # noqa: E402
from seqkit_music.tunes import tune  # noqa: E402

SCALE = [60, 62, 64, 65, 67, 69, 71, 72]
SMALL = ["model.hidden_size=8", "trainer.max_steps=4", "trainer.val_check_interval=2", "trainer.accelerator=cpu", "id=x"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


@pytest.fixture
def midi_files() -> Path:
    """Return a folder of ten MIDI files, each a scale in thirds from another of its notes."""
    folder = Path("midi")
    folder.mkdir()
    for number in range(10):
        steps = [[SCALE[(number + step) % 8], SCALE[(number + step + 2) % 8]] for step in range(6 + number)]
        write_midi(folder / f"{number}.mid", steps, 4)
    return folder


@pytest.mark.seqkit("data=piano_rolls data.size=16 frontend=piano_roll task=notes head=notes")
def test_contract(check):
    check()


def test_midi_files_train_report_and_predict_a_midi_file(midi_files, capsys):
    assert run(["train", "experiment=music", f"data.path={midi_files}", *SMALL]) == 0, capsys.readouterr().err
    report = json.loads(Path("runs/music/x/report.json").read_text())
    assert report["data"]["train"] == "8 pieces, 76 steps"
    assert report["monitor"] == ["nll", "min"]
    assert set(report["baselines"]) == {"note frequencies", "repeat last"}
    assert "piano_roll.png" in report["figures"]
    assert Path("runs/music/x/piano_roll.png").read_bytes().startswith(b"\x89PNG")
    assert run(["evaluate", "runs/music/x", "--batch-size", "1", "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out.splitlines(keepends=True)[-1] if False else capsys_out(capsys))
    assert evaluated["model"] == report["test"]


def test_a_note_has_a_name():
    assert [note_name(note) for note in (21, 60, 61, 108)] == ["A0", "C4", "C#4", "C8"]

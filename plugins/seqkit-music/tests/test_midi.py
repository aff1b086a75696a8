"""From MIDI files to MIDI files, as a MIDI library reads them."""

import json
from pathlib import Path

import pytest

import seqkit
from seqkit import DataError
from seqkit.__main__ import run

mido = pytest.importorskip("mido")

from seqkit_music.midi import read_midi, write_midi  # noqa: E402
from seqkit_music.rolls import notes_of  # noqa: E402

SCALE = [60, 62, 64, 65, 67, 69, 71, 72]
SMALL = [
    "data.size=16",
    "model.hidden_size=8",
    "trainer.max_steps=4",
    "trainer.val_check_interval=2",
    "trainer.accelerator=cpu",
    "id=x",
]


@pytest.fixture
def midi_files() -> Path:
    """Return a folder of ten MIDI files, each a scale in thirds from another of its notes."""
    folder = Path("midi")
    folder.mkdir()
    for number in range(10):
        steps = [[SCALE[(number + step) % 8], SCALE[(number + step + 2) % 8]] for step in range(6 + number)]
        write_midi(folder / f"{number}.mid", steps, 4)
    return folder


def test_midi_files_train_report_and_predict_a_midi_file(midi_files, capsys):
    assert run(["train", "experiment=music", f"data.path={midi_files}", *SMALL]) == 0, capsys.readouterr().err
    capsys.readouterr()
    report = json.loads(Path("runs/music/x/report.json").read_text())
    assert report["data"]["train"] == "8 pieces, 76 steps"
    assert report["monitor"] == ["nll", "min"]
    assert set(report["baselines"]) == {"note frequencies", "repeat last"}
    assert "piano_roll.png" in report["figures"]
    assert Path("runs/music/x/piano_roll.png").read_bytes().startswith(b"\x89PNG")
    assert run(["evaluate", "runs/music/x", "--batch-size", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == report["test"]
    assert run(["predict", "runs/music/x", "midi/9.mid", "--output", "heard", "--json"]) == 0
    ((answer),) = json.loads(capsys.readouterr().out)
    assert answer["file"] == "heard/9.prediction.mid"
    assert len(answer["notes"]) == 15
    assert mido.MidiFile(answer["file"]).length == pytest.approx(15 / 4 * 0.5)  # 15 sixteenths at 120 beats per minute
    assert run(["predict", "runs/music/x", "midi/9.mid"]) == 0
    assert capsys.readouterr().out.startswith("midi/9.mid: ")


def test_chunks_of_a_stream_expect_what_the_whole_does(midi_files):
    seqkit.train(["experiment=music", f"data.path={midi_files}", *SMALL])
    trained = seqkit.load("runs/music/x")
    (whole,) = trained.predict("midi/9.mid")
    stream = trained.stream()
    steps = [stream.feed(step)["notes"][0] for step in trained.spec.inputs.read("midi/9.mid")]
    assert steps == whole["notes"]
    assert stream.finish() is None


def test_a_midi_file_is_read_back_by_a_midi_library():
    steps = [[60, 64], [60], [], [67], [67]]
    write_midi(Path("x.mid"), steps, 2)
    messages = [m for m in mido.MidiFile("x.mid").tracks[0] if not m.is_meta]
    assert [(m.type, m.note, m.time) for m in messages] == [
        ("note_on", 60, 0), ("note_on", 64, 0), ("note_off", 64, 240), ("note_off", 60, 240), ("note_on", 67, 240),
        ("note_off", 67, 480),
    ]  # fmt: skip
    assert notes_of(read_midi(Path("x.mid"), 2)) == steps


def test_drums_and_notes_beyond_the_piano_are_left_out():
    track = mido.MidiTrack()
    for channel, note in ((0, 60), (9, 61), (0, 120)):
        track.append(mido.Message("note_on", channel=channel, note=note, time=0))
        track.append(mido.Message("note_on", channel=channel, note=note, velocity=0, time=480))
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save("x.mid")
    assert notes_of(read_midi(Path("x.mid"), 1)) == [[60]]


@pytest.mark.parametrize(("message", "line"), [
    (mido.Message("note_on", note=60, time=2**28 - 1), "x.mid: its last note ends after 2,236,963 steps; 1,000,000 is the most"),
    (mido.Message("note_on", note=120, time=5), "x.mid: has no note of the piano"),
])  # fmt: skip
def test_files_without_music_are_refused(message, line):
    end = mido.Message("note_off", note=message.note, time=1)
    mido.MidiFile(ticks_per_beat=480, tracks=[mido.MidiTrack([message, end])]).save("x.mid")
    with pytest.raises(DataError, match=f"^{line}"):
        read_midi(Path("x.mid"), 4)

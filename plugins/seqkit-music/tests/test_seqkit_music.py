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
SMALL = [
    "model.hidden_size=8",
    "trainer.max_steps=4",
    "trainer.val_check_interval=2",
    "trainer.accelerator=cpu",
    "id=x",
]


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
    assert mido.MidiFile(answer["file"]).length == pytest.approx(
        15 / 4 * 0.5
    )  # 15 steps of a sixteenth at 120 per minute
    assert run(["predict", "runs/music/x", "midi/9.mid"]) == 0
    assert capsys.readouterr().out.startswith("midi/9.mid: ")


def test_chunks_of_a_stream_expect_what_the_whole_does(midi_files):
    seqkit.train(["experiment=music", f"data.path={midi_files}", *SMALL])
    trained = seqkit.load("runs/music/x")
    (whole,) = trained.predict("midi/9.mid")
    stream = trained.stream()
    steps = [stream.feed(step)["notes"][0] for step in trained.spec.inputs.read("midi/9.mid")]
    assert steps == whole["notes"]


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


def test_likelihood_and_frame_accuracy_by_hand():
    metric = Notes().metrics(None)
    logits_BTN = torch.full((2, 2, KEYS), -30.0)  # certain silence but for the keys set here
    logits_BTN[0, 0, :3] = torch.tensor([0.0, 1.0, -2.0])
    logits_BTN[0, 1, 5] = 2.0
    targets_BTN = torch.zeros(2, 2, KEYS)
    targets_BTN[0, 0, 0] = targets_BTN[0, 0, 1] = targets_BTN[0, 0, 2] = targets_BTN[1, 0, 7] = 1
    logits_BTN[1, 0, 7], logits_BTN[1, 1] = 3.0, 99.0  # the second step of the second row is padding
    batch = Batch(torch.zeros(2, 2, KEYS), torch.tensor([2, 1]), targets_BTN)
    metric.update(NotesPrediction(logits_BTN, batch.lengths), batch)

    def nats(logit, truth):
        p = 1 / (1 + math.exp(-logit))
        return -math.log(p if truth else 1 - p)

    total = nats(0, 1) + nats(1, 1) + nats(-2, 1) + nats(2, 0) + nats(3, 1)
    scores = metric.compute()
    assert float(scores["nll"]) == pytest.approx(total / 3, rel=1e-9)
    hits, missed, wrong = 2, 2, 1
    assert float(scores["frame_accuracy"]) == pytest.approx(hits / (hits + missed + wrong))


def test_the_loss_is_the_likelihood_of_the_valid_steps():
    data = seqkit.build("data", {"name": "piano_rolls", "size": 4})
    data.setup()
    batch = data.collate([data.part("train")[0], data.part("train")[0][:9]])
    head = seqkit.build("head", "notes", 4, data.spec, True)
    outputs = torch.randn(2, batch.inputs.shape[1], KEYS)
    loss, steps = head.loss(outputs, batch.lengths, batch)
    assert steps == batch.inputs.shape[1] + 8
    metric = data.spec.task.metrics(data.spec)
    metric.update(head.predict(outputs, batch.lengths, batch), batch)
    torch.testing.assert_close(metric.compute()["nll"].float(), loss / steps)


def test_baselines_by_hand():
    roll_TN = roll_of([[60], [60], [60, 64], [64]], "test")
    batch = Batch(roll_TN[None, :-1], targets=roll_TN[None, 1:])
    frequencies = note_frequencies([roll_TN])(batch).logits_BTN.sigmoid()
    assert frequencies[0, 1, 60 - 21] == pytest.approx(3.5 / 5)
    assert frequencies[0, 1, 0] == pytest.approx(0.5 / 5)
    repeated = repeat_last([roll_TN])(batch).logits_BTN.sigmoid()
    assert torch.equal(repeated > 0.5, batch.inputs > 0.5)
    assert repeated[0, 0, 60 - 21] == pytest.approx(3.5 / 5)  # of four keys that sounded, three went on


def test_tunes_and_rolls_of_json_make_the_splits():
    assert torch.equal(tune(0, "train", 3, 4), tune(0, "train", 3, 4))
    assert not torch.equal(tune(0, "train", 3, 4), tune(0, "test", 3, 4))
    piece = [[60], [62, 64], []]
    Path("rolls.json").write_text(json.dumps({"train": [piece, piece * 2], "valid": [piece], "test": [piece]}))
    data = seqkit.build("data", {"name": "piano_rolls", "path": "rolls.json", "seq_len": 2})
    data.setup()
    assert [notes_of(roll_TN) for roll_TN in data.part("train")] == [
        piece, [[60], [62, 64], []], [[], [60], [62, 64]], [[62, 64], []]
    ]  # fmt: skip
    assert data.facts == {"train": "2 pieces, 9 steps", "valid": "1 pieces, 3 steps", "test": "1 pieces, 3 steps"}


@pytest.mark.parametrize(("name", "content", "line"), [
    ("x.json", "{}", "x.json: is not an object of train, valid, test, each a list of pieces"),
    ("x.json", '{"train": [[[60], [5]]], "valid": [], "test": []}', "x.json, train 1, step 2: 5 is none of the notes 21 to 108"),
    ("x.json", '{"train": [[[60], [61]]], "valid": [], "test": []}', "x.json: there is no piece for valid"),
    ("x.json", "[", "x.json: cannot be read as JSON"),
    ("x/1.txt", "no music", "x: there is no piece for train"),
    ("x/train/1.mid", "no music", "x/train/1.mid: cannot be read as MIDI"),
])  # fmt: skip
def test_files_that_are_something_else_are_refused(name, content, line):
    for split in ("train", "valid", "test") if "train/" in name else ():
        Path("x", split).mkdir(parents=True)
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(content)
    data = seqkit.build("data", {"name": "piano_rolls", "path": name.partition("/")[0]})
    with pytest.raises(DataError, match=f"^{line}"):
        data.setup()


def test_a_note_has_a_name():
    assert [note_name(note) for note in (21, 60, 61, 108)] == ["A0", "C4", "C#4", "C8"]

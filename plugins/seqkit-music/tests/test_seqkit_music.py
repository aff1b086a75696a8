"""Music keeps seqkit's contracts, and its likelihood and baselines are those of the formulas."""

import json
import math
from pathlib import Path

import pytest
import torch
from seqkit_music.baselines import note_frequencies, repeat_last
from seqkit_music.rolls import KEYS, note_name, notes_of, roll_of
from seqkit_music.task import Notes, NotesPrediction
from seqkit_music.tunes import tune

import seqkit
from seqkit import Batch, DataError


@pytest.mark.seqkit("data=piano_rolls data.size=16 frontend=piano_roll task=notes head=notes")
def test_contract(check):
    check()


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

import math
import random

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.padding import pad
from seqkit.tasks.tag.metrics import TagMetrics
from seqkit.tasks.tag.prediction import TagPrediction
from seqkit.tasks.tag.spans import are_spans
from tests.tasks.tag.conlleval import chunks, f1

BIO = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")
IOBES = (*BIO, "E-LOC", "E-PER", "S-LOC", "S-PER")


def scores(names, true, found):
    metric = TagMetrics(names)
    (true_BT, lengths_B), (found_BT, _) = (
        pad([torch.tensor([names.index(tag) for tag in row]) for row in rows]) for rows in (true, found)
    )
    metric.update(TagPrediction(found_BT, lengths_B), Batch(torch.zeros(true_BT.shape), lengths_B, true_BT))
    return {name: float(value) for name, value in metric.compute().items()}


@pytest.mark.parametrize("names", [BIO, IOBES, tuple(t.replace("E-", "L-").replace("S-", "U-") for t in IOBES)])
def test_f1_is_that_of_conlleval(names):
    draw = random.Random(0)
    for _ in range(60):
        true = [draw.choices(names, k=draw.randint(1, 9)) for _ in range(4)]
        found = [[tag if draw.random() < 0.6 else draw.choice(names) for tag in row] for row in true]
        assert scores(names, true, found)["f1"] == pytest.approx(f1(true, found), abs=1e-12)


def test_spans_by_hand():
    assert chunks(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"]) == [("PER", 0, 1), ("LOC", 3, 3), ("LOC", 4, 4)]
    true = [["B-PER", "I-PER", "O", "B-LOC"], ["O"]]
    found = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC"]]
    assert scores(BIO, true, found) == pytest.approx(
        {"f1": 2 / 5, "precision": 1 / 3, "recall": 1 / 2, "accuracy": 3 / 5, "loss": math.nan}, nan_ok=True
    )


def test_padding_is_not_scored():
    assert scores(BIO, [["O"], ["B-PER"] * 5], [["O"], ["B-PER"] * 5])["accuracy"] == 1


def test_plain_tags_have_no_spans():
    assert set(scores(("DET", "NOUN"), [["DET", "NOUN"]], [["DET", "DET"]])) == {"accuracy", "loss"}
    assert are_spans(("O", "B-x-y"))
    assert not are_spans(("O", "B-x", "NOUN"))
    assert not are_spans(("O",))


def test_without_any_span_f1_is_zero():
    assert scores(BIO, [["O", "O"]], [["O", "O"]])["f1"] == 0

import math

import pytest
import torch

from seqkit.contracts import Classes, DataSpec, NextToken, Tokens, Waveform
from seqkit.data.morse import Morse
from seqkit.heads.classify import Classify
from seqkit.heads.transcribe import Transcribe
from seqkit.report.baselines.labels import naive


class Labelled:
    """Rows of one class each."""

    batch_size = 2

    def __init__(self, targets):
        self.targets = targets

    def part(self, split):
        return self.targets

    def order(self, split, batch_size, seed, epoch):
        return [[0, 1], [2, 3], [4]]

    def collate(self, samples):
        from seqkit.contracts import Batch

        return Batch(torch.zeros(len(samples), 1), targets=torch.tensor(samples))


def test_majority_class_is_that_of_training_with_its_frequencies():
    spec = DataSpec(Waveform(8000), Classes(("a", "b", "c"), (2, 5, 3)))
    data = Labelled([1, 1, 0, 2, 2])
    scores = naive(spec, data, "test", Classify(4, spec, True))
    assert list(scores) == ["majority class"]
    assert scores["majority class"]["accuracy"] == pytest.approx(2 / 5)
    assert scores["majority class"]["macro_f1"] == pytest.approx((2 * 2 / (2 + 5)) / 3)
    expected = -(2 * math.log(0.5) + math.log(0.2) + 2 * math.log(0.3)) / 5
    assert scores["majority class"]["loss"] == pytest.approx(expected)


def test_the_empty_transcript_misses_every_character_and_word():
    data = Morse(test_size=5, batch_size=2)
    data.setup()
    scores = naive(data.spec, data, "test", Transcribe(4, data.spec, True))
    assert scores == {"empty transcript": {"character_error_rate": 1.0, "word_error_rate": 1.0}}


def test_other_targets_have_none_here():
    assert naive(DataSpec(Tokens(("a",)), NextToken()), None, "test", None) == {}

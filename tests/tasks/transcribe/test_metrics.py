import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.inputs.waveform.spec import Waveform
from seqkit.tasks.transcribe.head import Transcribe
from seqkit.tasks.transcribe.metrics import TranscribeMetrics
from seqkit.tasks.transcribe.spec import Transcript

SYMBOLS = ("a", "b", "c", " ")
SPEC = DataSpec(Waveform(8000), Transcript(SYMBOLS))
HEAD = Transcribe(4, SPEC, True)


def case(said, true):
    """Outputs that read as ``said`` (a blank between all symbols) and the batch of the transcripts ``true``."""
    steps = 2 * max(len(text) for text in [*said, *true]) + 1
    outputs = torch.zeros(len(said), steps, 5)
    outputs[..., 0] = 5
    for row, text in enumerate(said):
        for place, symbol in enumerate(text):
            outputs[row, 2 * place + 1, SYMBOLS.index(symbol) + 1] = 10
    size = max(len(text) for text in true)
    targets = torch.tensor([[SYMBOLS.index(symbol) for symbol in text.ljust(size)] for text in true])
    lengths = torch.tensor([len(text) for text in true])
    return outputs.log_softmax(2), Batch(torch.zeros(len(said), 1), None, targets, lengths)


def score(*cases):
    scores = TranscribeMetrics(SPEC.task.truths)
    for outputs, batch in cases:
        scores.update(HEAD.predict(outputs, None, batch), batch)
    return scores


def test_error_rates_by_hand():
    # abc -> abb: one substitution; "a b" -> "ab": one deletion, both words wrong; c -> cab: two insertions.
    scores = score(case(["abb", "ab", "cab"], ["abc", "a b", "c"])).compute()
    assert float(scores["character_error_rate"]) == pytest.approx(4 / 7)
    assert float(scores["word_error_rate"]) == pytest.approx(4 / 4)
    perfect = score(case(["abc ab"], ["abc ab"])).compute()
    assert (float(perfect["character_error_rate"]), float(perfect["word_error_rate"])) == (0, 0)


def test_sums_come_before_ratios():
    together = score(case(["abb", "a"], ["abc", "a"])).compute()
    apart = score(case(["abb"], ["abc"]), case(["a"], ["a"])).compute()
    assert float(together["character_error_rate"]) == float(apart["character_error_rate"]) == 1 / 4
    assert float(together["word_error_rate"]) == float(apart["word_error_rate"]) == 1 / 2


def test_loss_is_in_nats_a_character():
    outputs, batch = case(["abc", "a"], ["abc", "a"])
    expected = torch.nn.functional.ctc_loss(
        outputs.transpose(0, 1), batch.targets + 1, torch.tensor([7, 7]), batch.target_lengths, reduction="sum"
    )
    assert float(score((outputs, batch)).compute()["loss"]) == pytest.approx(float(expected) / 4)


def test_reset_forgets():
    scores = score(case(["abb"], ["abc"]))
    scores.reset()
    outputs, batch = case(["abc"], ["abc"])
    scores.update(HEAD.predict(outputs, None, batch), batch)
    assert float(scores.compute()["character_error_rate"]) == 0

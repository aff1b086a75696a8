import math

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters, Words
from seqkit.tasks.next_token.prediction import TokenPrediction
from seqkit.tasks.next_token.spec import NextToken
from tests.tasks.next_token.test_head import SPEC, VOCABULARY, made, nats_by_hand


@pytest.mark.parametrize("lengths", [None, [5, 2, 4]])
def test_scores_are_sums_over_tokens(lengths):
    logits_BTV, lengths_B, batch = made(lengths=lengths)
    nats = nats_by_hand(logits_BTV, lengths_B, batch)
    metric = SPEC.task.metrics(SPEC)
    for row in range(3):  # one at a time: the split into batches must not matter
        one = slice(row, row + 1)
        row_lengths = None if lengths_B is None else lengths_B[one]
        own = Batch(batch.inputs[one], row_lengths, batch.targets[one])
        metric.update(TokenPrediction(logits_BTV[one], row_lengths), own)
    found = {name: float(value) for name, value in metric.compute().items()}
    loss = sum(nats) / len(nats)
    assert found["loss"] == pytest.approx(loss, rel=1e-6)
    assert found["perplexity"] == pytest.approx(math.exp(loss), rel=1e-6)
    assert found["bits_per_character"] == pytest.approx(loss / math.log(2), rel=1e-6)
    assert found["bits_per_byte"] == found["bits_per_character"]
    steps = [5] * 3 if lengths is None else lengths
    hits = sum(int(logits_BTV[r, t].argmax() == batch.targets[r, t]) for r in range(3) for t in range(steps[r]))
    assert found["accuracy"] == pytest.approx(hits / sum(steps))
    assert metric.nats.dtype == torch.float64


def test_a_uniform_model_scores_the_size_of_the_vocabulary():
    _, _, batch = made()
    metric = SPEC.task.metrics(SPEC)
    metric.update(TokenPrediction(torch.zeros(3, 5, len(VOCABULARY))), batch)
    assert float(metric.compute()["perplexity"]) == pytest.approx(len(VOCABULARY))


@pytest.mark.parametrize(
    ("tokenizer", "targets", "characters", "size"),
    [
        (Characters(("<unk>", "a", "é")), [1, 2], 2, 3),
        (Words(("<unk>", "<eos>", "né", "end")), [2, 3, 1], 7, 8),  # "né end\n"
    ],
)
def test_bits_are_per_character_and_byte_of_the_text_whatever_the_tokenizer(tokenizer, targets, characters, size):
    spec = DataSpec(Tokens(tokenizer), NextToken())
    metric = spec.task.metrics(spec)
    targets_BT = torch.tensor([targets])
    metric.update(TokenPrediction(torch.zeros(1, len(targets), 4)), Batch(targets_BT, targets=targets_BT))
    bits = 2 * len(targets)
    assert float(metric.compute()["bits_per_character"]) == pytest.approx(bits / characters)
    assert float(metric.compute()["bits_per_byte"]) == pytest.approx(bits / size)

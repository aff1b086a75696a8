import pytest
import torch
from torch import nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.inputs.waveform.spec import Waveform
from seqkit.registry import build
from seqkit.tasks.classify.head import Classify
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.spec import NextToken
from seqkit.tasks.transcribe.spec import Transcript

SPEC = DataSpec(Waveform(8000), Classes(("low", "middle", "high"), (5, 3, 2)))
POOLINGS = ["last", "mean", "max", "attention"]


def head(size=6, causal=True, **options):
    torch.manual_seed(0)
    return Classify(size, SPEC, causal, **options)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("causal", [True, False])
def test_padding_does_not_change_a_row(pooling, causal):
    one = head(pooling=pooling, causal=causal).eval()
    y = torch.randn(3, 9, 6)
    lengths = torch.tensor([9, 4, 1])
    batch = Batch(y, lengths)
    together = one(y, lengths, batch)
    for row, length in enumerate(lengths.tolist()):
        alone = y[row : row + 1, :length]
        torch.testing.assert_close(together[row : row + 1], one(alone, None, Batch(alone)))


def test_pooling_values():
    y = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [9.0, 9.0]]])
    lengths = torch.tensor([2])
    assert head(2, pooling="mean").pool(y, lengths).tolist() == [[2.0, -3.0]]
    assert head(2, pooling="max").pool(y, lengths).tolist() == [[3.0, -2.0]]
    assert head(2, pooling="last").pool(y, lengths).tolist() == [[3.0, -2.0]]
    assert head(2, pooling="last", causal=False).pool(y, lengths).tolist() == [[3.0, -4.0]]
    attention = head(2, pooling="attention")
    nn.init.zeros_(attention.attention.weight)
    assert attention.pool(y, lengths).tolist() == [[2.0, -3.0]]  # equal weights are the mean


def test_last_of_a_bidirectional_model_is_its_final_state_in_each_direction():
    torch.manual_seed(0)
    gru = nn.GRU(3, 4, batch_first=True, bidirectional=True)
    x, lengths = torch.randn(3, 7, 3), torch.tensor([7, 2, 5])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, final = gru(packed)
    y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    pooled = head(8, pooling="last", causal=False).pool(y, lengths)
    torch.testing.assert_close(pooled, torch.cat([final[0], final[1]], 1))


def test_loss_is_the_summed_cross_entropy_and_smoothing_is_for_training_only():
    one = head(label_smoothing=0.3)
    logits, targets = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 0])
    batch = Batch(torch.zeros(5, 1), targets=targets)
    by_hand = -logits.log_softmax(1)[torch.arange(5), targets]
    loss, count = one.eval().loss(logits, None, batch)
    torch.testing.assert_close(loss, by_hand.sum())
    assert count == 5
    smoothed, _ = one.train().loss(logits, None, batch)
    torch.testing.assert_close(smoothed, (0.7 * by_hand - 0.3 * logits.log_softmax(1).mean(1)).sum())


def test_dropout_is_for_training_only():
    one, y = head(dropout=0.5), torch.randn(4, 3, 6)
    assert not torch.equal(one(y, None, Batch(y)), one(y, None, Batch(y)))
    one.eval()
    assert torch.equal(one(y, None, Batch(y)), one(y, None, Batch(y)))


def test_answers_give_labels_and_probabilities():
    logits = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]).log()
    batch = Batch(torch.zeros(2, 1))
    rows = SPEC.task.answers(head().predict(logits, None, batch), SPEC)
    assert [row["label"] for row in rows] == ["high", "low"]
    assert rows[0]["probability"] == pytest.approx(0.7)
    assert list(rows[0]["probabilities"]) == ["high", "middle", "low"]
    assert rows[1]["probabilities"] == pytest.approx({"low": 0.5, "middle": 0.3, "high": 0.2})


@pytest.mark.parametrize("pooling", POOLINGS)
def test_it_learns_a_toy_problem(pooling):
    torch.manual_seed(1)
    y = torch.randn(60, 5, 6)
    lengths = torch.randint(1, 6, (60,))
    one = head(pooling=pooling)
    with torch.no_grad():
        targets = one.pool(y, lengths)[:, :3].argmax(1)
    batch = Batch(y, lengths, targets)
    optimizer = torch.optim.Adam(one.parameters(), 0.1)
    for _ in range(100):
        loss, count = one.loss(one(y, lengths, batch), lengths, batch)
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
    metric = SPEC.task.metrics(SPEC)
    metric.update(one.predict(one(y, lengths, batch), lengths, batch), batch)
    assert metric.compute()["accuracy"] > 0.9


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (NextToken(), "head=classify needs classes, this data has NextToken; use head=next_token"),
        (Series(1, ("a",), (0.0,), (1.0,)), "head=classify needs classes, this data has Series; use head=forecast"),
        (Transcript(("a",)), "head=classify needs classes, this data has Transcript; use head=transcribe"),
    ],
)
def test_other_targets_are_refused(targets, message):
    with pytest.raises(ConfigError) as refusal:
        build("head", "classify", 4, DataSpec(Tokens(Characters(("a",))), targets), True)
    assert str(refusal.value) == message


def test_last_of_a_model_without_halves_is_refused():
    with pytest.raises(ConfigError) as refusal:
        build("head", {"name": "classify", "pooling": "last"}, 7, SPEC, False)
    assert str(refusal.value) == (
        "head.pooling=last needs a forward and a backward half, this model has 7 outputs; use head.pooling=mean"
    )

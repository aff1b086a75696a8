import itertools
import math

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, DataError
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.inputs.waveform.spec import Waveform
from seqkit.registry import build
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.spec import NextToken
from seqkit.tasks.transcribe.decoding import greedy
from seqkit.tasks.transcribe.head import Transcribe
from seqkit.tasks.transcribe.spec import Transcript

SPEC = DataSpec(Waveform(8000), Transcript(("a", "b", " ")))


def head(size=5):
    torch.manual_seed(0)
    return Transcribe(size, SPEC, True)


def steps(text):
    """Log-probabilities, all but sure, of outputs written as symbols and '-' for the blank."""
    ids = torch.tensor(["-ab ".index(symbol) for symbol in text])
    return (torch.nn.functional.one_hot(ids, 4) * 20.0).log_softmax(1)


def batch(targets, lengths=None):
    return Batch(torch.zeros(len(targets), 1), None, torch.tensor(targets), lengths)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [("aabb", "ab"), ("a-a", "aa"), ("aa-", "a"), ("----", ""), ("-a--a bb-b", "aa bb"), ("a", "a")],
)
def test_greedy_decoding_joins_repeats_and_drops_blanks(outputs, text):
    assert greedy(steps(outputs)[None], None, SPEC.task.symbols) == [text]
    prediction = head().predict(steps(outputs)[None], None, Batch(torch.zeros(1, 1)))
    assert SPEC.task.answers(prediction, SPEC) == [{"text": text}]


def test_decoding_stops_at_the_end_of_a_row():
    outputs = torch.stack([steps("ab-b"), steps("b-ab")])
    assert greedy(outputs, torch.tensor([2, 4]), SPEC.task.symbols) == ["ab", "bab"]


def test_loss_is_that_of_all_alignments():
    torch.manual_seed(0)
    outputs = torch.randn(1, 4, 4).log_softmax(2)
    target = [0, 0]  # "aa"
    total = 0.0
    for path in itertools.product(range(4), repeat=4):
        joined = [symbol - 1 for symbol, _ in itertools.groupby(path) if symbol != 0]
        if joined == target:
            total += math.exp(sum(float(outputs[0, t, symbol]) for t, symbol in enumerate(path)))
    loss, count = head().loss(outputs, None, batch([target]))
    assert float(loss) == pytest.approx(-math.log(total), rel=1e-5)
    assert count == 2


def test_padding_does_not_change_the_loss():
    torch.manual_seed(0)
    outputs = torch.randn(2, 9, 4).log_softmax(2)
    lengths = torch.tensor([9, 5])
    together, count = head().loss(outputs, lengths, batch([[0, 1, 2], [1, 0, 0]], torch.tensor([3, 1])))
    assert count == 4
    one, _ = head().loss(outputs[:1], None, batch([[0, 1, 2]]))
    two, _ = head().loss(outputs[1:, :5], None, batch([[1]]))
    torch.testing.assert_close(together, one + two)


def test_an_empty_transcript_has_a_loss():
    outputs = torch.randn(1, 4, 4).log_softmax(2)
    loss, count = head().loss(outputs, None, Batch(outputs, None, torch.zeros(1, 0, dtype=torch.int64)))
    torch.testing.assert_close(loss, -outputs[0, :, 0].sum())
    assert count == 0


def test_outputs_are_log_probabilities_of_the_blank_and_the_symbols():
    y = torch.randn(2, 7, 5)
    outputs = head()(y, None, Batch(y))
    assert outputs.shape == (2, 7, 4)
    torch.testing.assert_close(outputs.exp().sum(2), torch.ones(2, 7))
    with torch.autocast("cpu", torch.bfloat16):
        assert head()(y, None, Batch(y)).dtype == torch.float32


def test_the_gradient_is_deterministic_on_the_cpu():
    def gradient():
        torch.manual_seed(0)
        outputs = torch.randn(16, 60, 4, requires_grad=True)
        targets = torch.randint(0, 3, (16, 10))
        loss, _ = head().loss(outputs.log_softmax(2), torch.arange(45, 61), batch(targets.tolist()))
        loss.backward()
        return outputs.grad

    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(gradient(), gradient())
    finally:
        torch.use_deterministic_algorithms(False)


def test_it_learns_a_toy_problem():
    torch.manual_seed(0)
    texts = torch.randint(0, 3, (20, 4))
    x = torch.nn.functional.one_hot(texts.repeat_interleave(4, 1), 3).float()
    x[:, ::4] = 0  # a pause parts the symbols
    one = head(3)
    optimizer = torch.optim.Adam(one.parameters(), 0.1)
    data = batch(texts.tolist())
    for _ in range(150):
        loss, count = one.loss(one(x, None, data), None, data)
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
    metric = SPEC.task.metrics(SPEC)
    metric.update(one.predict(one(x, None, data), None, data), data)
    assert metric.compute()["character_error_rate"] < 0.05


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (NextToken(), "head=transcribe needs transcripts, this data has NextToken; use head=next_token"),
        (
            Series(1, ("a",), (0.0,), (1.0,)),
            "head=transcribe needs transcripts, this data has Series; use head=forecast",
        ),
        (Classes(("a",), (1,)), "head=transcribe needs transcripts, this data has Classes; use head=classify"),
    ],
)
def test_other_targets_are_refused(targets, message):
    with pytest.raises(ConfigError) as refusal:
        build("head", "transcribe", 4, DataSpec(Tokens(Characters(("a",))), targets), True)
    assert str(refusal.value) == message


def test_a_transcript_longer_than_its_outputs_is_refused():
    outputs = torch.randn(2, 6, 4).log_softmax(2)
    lengths = torch.tensor([6, 4])
    data = batch([[0, 1, 2, 0], [0, 0, 1, 1]])
    with pytest.raises(DataError) as refusal:
        head().loss(outputs, lengths, data)
    assert str(refusal.value) == (
        "a transcript of 4 symbols needs 6 output steps, its sound gives 4; "
        "use a smaller frontend.hop or frontend.stack, or remove it from the data"
    )
    loss, _ = head().loss(outputs, torch.tensor([6, 6]), data)  # two repeats and their blanks just fit
    assert loss.isfinite()

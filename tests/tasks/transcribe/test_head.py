import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.inputs.waveform.spec import Waveform
from seqkit.registry import build
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.spec import NextToken
from seqkit.tasks.transcribe.head import Transcribe
from seqkit.tasks.transcribe.spec import Transcript

SPEC = DataSpec(Waveform(8000), Transcript(("a", "b", " ")))


def head(size=5):
    torch.manual_seed(0)
    return Transcribe(size, SPEC, True)


def batch(targets, lengths=None):
    return Batch(torch.zeros(len(targets), 1), None, torch.tensor(targets), lengths)


def test_outputs_are_log_probabilities_of_the_blank_and_the_symbols():
    y = torch.randn(2, 7, 5)
    outputs = head()(y, None, Batch(y))
    assert outputs.shape == (2, 7, 4)
    torch.testing.assert_close(outputs.exp().sum(2), torch.ones(2, 7))
    with torch.autocast("cpu", torch.bfloat16):
        assert head()(y, None, Batch(y)).dtype == torch.float32


def test_predictions_are_the_decoded_texts_of_the_rows():
    outputs = torch.eye(4)[torch.tensor([[0, 1, 1, 2], [1, 0, 1, 3]])].log_softmax(2)
    prediction = head().predict(outputs, None, Batch(torch.zeros(2, 1)))
    assert SPEC.task.answers(prediction, SPEC) == [{"text": "ab"}, {"text": "aa "}]


def test_the_loss_is_summed_over_rows_and_counts_symbols():
    outputs = torch.randn(2, 9, 4).log_softmax(2)
    loss, count = head().loss(outputs, None, batch([[0, 1, 2], [1, 0, 0]], torch.tensor([3, 1])))
    one, _ = head().loss(outputs[:1], None, batch([[0, 1, 2]]))
    two, _ = head().loss(outputs[1:], None, batch([[1]]))
    torch.testing.assert_close(loss, one + two)
    assert int(count) == 4


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

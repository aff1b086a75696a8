import itertools
import math

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.errors import DataError
from seqkit.tasks.transcribe.ctc import ctc


def batch(targets, lengths=None):
    return Batch(torch.zeros(len(targets), 1), None, torch.tensor(targets), lengths)


def summed(outputs, lengths, data):
    """Return the loss and the number of symbols of all rows together."""
    loss_B, symbols_B = ctc(outputs, lengths, data)
    return loss_B.sum(), int(symbols_B.sum())


def test_loss_is_that_of_all_alignments():
    torch.manual_seed(0)
    outputs = torch.randn(1, 4, 4).log_softmax(2)
    target = [0, 0]  # "aa"
    total = 0.0
    for path in itertools.product(range(4), repeat=4):
        joined = [symbol - 1 for symbol, _ in itertools.groupby(path) if symbol != 0]
        if joined == target:
            total += math.exp(sum(float(outputs[0, t, symbol]) for t, symbol in enumerate(path)))
    loss, count = summed(outputs, None, batch([target]))
    assert float(loss) == pytest.approx(-math.log(total), rel=1e-5)
    assert count == 2


def test_padding_does_not_change_the_loss():
    torch.manual_seed(0)
    outputs = torch.randn(2, 9, 4).log_softmax(2)
    lengths = torch.tensor([9, 5])
    together, count = summed(outputs, lengths, batch([[0, 1, 2], [1, 0, 0]], torch.tensor([3, 1])))
    assert count == 4
    one, _ = summed(outputs[:1], None, batch([[0, 1, 2]]))
    two, _ = summed(outputs[1:, :5], None, batch([[1]]))
    torch.testing.assert_close(together, one + two)


def test_an_empty_transcript_has_a_loss():
    outputs = torch.randn(1, 4, 4).log_softmax(2)
    loss, count = summed(outputs, None, Batch(outputs, None, torch.zeros(1, 0, dtype=torch.int64)))
    torch.testing.assert_close(loss, -outputs[0, :, 0].sum())
    assert count == 0


def test_the_gradient_is_deterministic_on_the_cpu():
    def gradient():
        torch.manual_seed(0)
        outputs = torch.randn(16, 60, 4, requires_grad=True)
        targets = torch.randint(0, 3, (16, 10))
        loss, _ = summed(outputs.log_softmax(2), torch.arange(45, 61), batch(targets.tolist()))
        loss.backward()
        return outputs.grad

    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(gradient(), gradient())
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_transcript_longer_than_its_outputs_is_refused():
    outputs = torch.randn(2, 6, 4).log_softmax(2)
    lengths = torch.tensor([6, 4])
    data = batch([[0, 1, 2, 0], [0, 0, 1, 1]])
    with pytest.raises(DataError) as refusal:
        summed(outputs, lengths, data)
    assert str(refusal.value) == (
        "a transcript of 4 symbols needs 6 output steps, its sound gives 4; "
        "use a smaller frontend.hop or frontend.stack, or remove it from the data"
    )
    loss, _ = summed(outputs, torch.tensor([6, 6]), data)  # two repeats and their blanks just fit
    assert loss.isfinite()


def test_where_it_is_not_strict_a_transcript_that_cannot_fit_has_an_infinite_loss():
    outputs = torch.randn(2, 4, 4).log_softmax(2)
    loss_B, symbols_B = ctc(outputs, None, batch([[0, 1, 2], [0, 0, 0]]), strict=False)
    assert loss_B.isinf().tolist() == [False, True]
    assert symbols_B.tolist() == [3, 3]

import pytest
import torch

from seqkit.tasks.transcribe.decoding import greedy

SYMBOLS = ("a", "b", " ")


def steps(text):
    """Log-probabilities, all but sure, of outputs written as symbols and '-' for the blank."""
    ids = torch.tensor(["-ab ".index(symbol) for symbol in text])
    return (torch.nn.functional.one_hot(ids, 4) * 20.0).log_softmax(1)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [("aabb", "ab"), ("a-a", "aa"), ("aa-", "a"), ("----", ""), ("-a--a bb-b", "aa bb"), ("a", "a")],
)
def test_greedy_decoding_joins_repeats_and_drops_blanks(outputs, text):
    assert greedy(steps(outputs)[None], None, SYMBOLS) == [text]


def test_decoding_stops_at_the_end_of_a_row():
    outputs = torch.stack([steps("ab-b"), steps("b-ab")])
    assert greedy(outputs, torch.tensor([2, 4]), SYMBOLS) == ["ab", "bab"]

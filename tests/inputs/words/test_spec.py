import pytest
import torch

from seqkit.errors import DataError
from seqkit.inputs.words.spec import SpelledWords

WORDS = SpelledWords.fit("lower_word", ["The", "cat", "the"], None)


def spelled(row):
    return "".join(" ?"[place] if place < 2 else WORDS.characters[place - 2] for place in row[1:].tolist()).rstrip()


def test_a_row_is_a_word_and_its_characters():
    assert WORDS.vocabulary == ("<unk>", "the", "cat")
    rows_TS = WORDS.read("The act!")
    assert rows_TS[:, 0].tolist() == [1, 0, 0]
    assert [spelled(row) for row in rows_TS] == ["The", "act", "?"]


def test_a_long_word_keeps_both_ends():
    short = SpelledWords(WORDS.tokenizer, tuple("abcdefghij"), length=5)
    ids = short.rows(["abcdefghij", "abcde", "abcdef"])[:, 1:] - 2
    assert ["".join(short.characters[i] for i in row) for row in ids] == ["abcij", "abcde", "abcef"]


def test_words_of_a_tuple_stay_as_they_are():
    assert len(WORDS.read(("don't", "The cat"))) == 2
    with pytest.raises(DataError, match=r"^' ': no text to predict from$"):
        WORDS.read(" ")


def test_words_come_back_as_they_are_spelled():
    assert WORDS.words(WORDS.read("The cat hat?")) == ["The", "cat", "hat", "\ufffd"]
    assert WORDS.words(WORDS.read(("the" * 9,))) == ["thethethet...ethethethe"]
    assert WORDS.words(WORDS.read(("the",), None)[:0]) == []


def test_chunks_are_text_or_ids():
    assert torch.equal(WORDS.chunk("the cat"), WORDS.read("the cat"))
    ids = WORDS.read("the cat")
    assert torch.equal(WORDS.chunk(ids.numpy()), ids)
    assert WORDS.chunk("").shape == (0, 1 + WORDS.length)
    with pytest.raises(DataError, match=r"^a chunk must be text, or ids \(words, 21\)"):
        WORDS.chunk(ids + 99)


def test_an_example_is_padded_after_its_characters():
    inputs_BTS = WORDS.example(3, 5, torch.Generator().manual_seed(0))
    spelling = inputs_BTS[..., 1:] != 0
    assert spelling[..., 0].all()
    assert not (~spelling[..., :-1] & spelling[..., 1:]).any()

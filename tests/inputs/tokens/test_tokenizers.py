import pytest

from seqkit.errors import ConfigError
from seqkit.inputs.tokens.tokenizers import Characters, Words


def test_encode_and_decode_are_inverse():
    chars = Characters(("<unk>", "a", "b", "\n"))
    assert chars.encode("ab\nba").tolist() == [1, 2, 3, 2, 1]
    assert chars.decode([1, 2, 3, 2, 1]) == "ab\nba"
    words = Words(("<unk>", "<eos>", "the", "end"))
    assert words.encode("the end\nthe  zoo").tolist() == [2, 3, 1, 2, 0]
    assert words.decode([2, 3, 1, 2, 0]) == "the end\nthe <unk>"
    assert chars.encode("").tolist() == []


def test_unknown_characters_are_refused_by_name():
    with pytest.raises(ConfigError) as caught:
        Characters(("<unk>", "a")).encode("aé☃é")
    assert str(caught.value) == "unknown to the model: 'é', '☃'; its training text had none, leave that out"
    with pytest.raises(ConfigError, match=r"^unknown to the model: 'b', 'c', 'd', 'e', 'f' and 2 more; "):
        Characters(("<unk>", "a")).encode("abcdefgh")


def test_the_vocabulary_is_by_frequency_and_ties_by_order():
    assert Characters.fit(Characters.pieces("bbac"), None).vocabulary == ("<unk>", "b", "a", "c")
    assert Words.fit(Words.pieces("b a b <unk> c"), None).vocabulary == ("<unk>", "b", "a", "c", "<eos>")
    assert Words.fit(Words.pieces("b a b <unk> c"), 3).vocabulary == ("<unk>", "b", "a")


def test_pieces_outside_the_vocabulary_have_id_0():
    chars = Characters(("<unk>", "a"))
    assert chars.ids(chars.pieces("ab☃a")).tolist() == [1, 0, 0, 1]
    words = Words(("<unk>", "the"))
    assert words.ids(words.pieces("the zoo <unk> the")).tolist() == [1, 0, 0, 1, 0]


def test_a_continuation_is_joined_as_its_text_would_be():
    words = Words(("<unk>", "<eos>", "the", "end"))
    assert words.continued("so", [2, 3]) == "so the end"
    assert words.continued("so ", [2]) == "so the"
    assert words.continued("so", [1, 2]) == "so\nthe"
    assert words.continued("", [2]) == "the"
    assert Characters(("<unk>", "a")).continued("b", [1]) == "ba"

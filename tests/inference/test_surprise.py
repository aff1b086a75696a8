import math

import pytest

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inference import surprise as module
from seqkit.inference.predict import predict
from seqkit.inference.surprise import surprise
from seqkit.tasks.classify.spec import Classes
from tests.inference.test_generate import SPEC, WORDS, made


@pytest.fixture
def network():
    return made(SPEC).eval()


def test_every_token_but_the_first_has_a_loss_and_they_add_up_to_the_score_of_predict(network):
    text = "abcab\ncab"
    tokens, losses = zip(*surprise(network, SPEC, text), strict=True)
    assert "".join(tokens) == text
    assert losses[0] is None
    bits = sum(losses[1:]) / math.log(2) / (len(text) - 1)
    assert bits == pytest.approx(predict(network, SPEC, text)[0]["bits_per_character"], rel=1e-6)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_long_text_goes_through_in_chunks_with_the_same_losses(network, size, monkeypatch):
    text = "abcab\ncab"
    whole = list(surprise(network, SPEC, text))
    monkeypatch.setattr(module, "CHUNK", size)
    chunked = list(surprise(network, SPEC, text))
    assert [token for token, _ in chunked] == [token for token, _ in whole]
    assert [loss for _, loss in chunked[1:]] == pytest.approx([loss for _, loss in whole[1:]], rel=1e-5)


def test_words_keep_the_space_before_them():
    tokens = [token for token, _ in surprise(made(WORDS).eval(), WORDS, "the end\nthe zoo")]
    assert tokens == ["the", " end", "\n", " the", " <unk>"]


def test_a_network_that_predicts_something_else_is_refused(network):
    other = DataSpec(SPEC.inputs, Classes(("x", "y"), (1, 1)))
    with pytest.raises(ConfigError, match="score needs a model with head=next_token; this one predicts Classes"):
        list(surprise(network, other, "ab"))

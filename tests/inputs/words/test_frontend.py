import pytest
import torch

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.words.spec import SpelledWords
from seqkit.registry import build
from seqkit.tasks.tag.spec import Tags

SPEC = DataSpec(SpelledWords.fit("lower_word", ["cat", "cats", "dog"], None), Tags(("A", "B")))


def frontend(**options):
    torch.manual_seed(0)
    return build("frontend", {"name": "words", "size": 3, "spelling_size": 4, **options}, SPEC)


@torch.no_grad()
def test_a_word_never_seen_is_known_by_its_characters():
    own = frontend().eval()
    x_BTI, lengths_B = own(SPEC.inputs.read("cat tac act cat")[None])
    assert lengths_B is None
    assert x_BTI.shape == (1, 4, 7)
    assert torch.equal(x_BTI[0, 1, :3], x_BTI[0, 2, :3])  # both unknown
    assert not torch.allclose(x_BTI[0, 1, 3:], x_BTI[0, 2, 3:])
    assert torch.equal(x_BTI[0, 0], x_BTI[0, 3])


@torch.no_grad()
def test_the_padding_of_a_word_is_no_character():
    own = frontend().eval()
    ids = SPEC.inputs.read("cat")[None, :, 1:]
    assert torch.allclose(own.spelling(ids), own.spelling(ids[..., :4]))
    assert not own.spelling(torch.zeros_like(ids)).any()


def test_without_characters_it_is_an_embedding():
    assert frontend(spelling_size=0)(SPEC.inputs.read("cat dog")[None])[0].shape == (1, 2, 3)


def test_dropped_words_keep_their_characters():
    own = frontend(token_dropout=0.999999).train()
    inputs = SPEC.inputs.read("cat dog")[None]
    x_BTI, _ = own(inputs)
    assert torch.equal(x_BTI[0, :, :3], own.embedding.weight[[0, 0]])
    assert torch.equal(x_BTI[..., 3:], own.spelling(inputs[..., 1:]))


def test_other_inputs_are_refused():
    with pytest.raises(ConfigError, match=r"^frontend=words needs words with characters, this data has Tokens; use "):
        build("frontend", "words", DataSpec(Tokens(SPEC.inputs.tokenizer), SPEC.task))

import pytest
import torch
from torch import nn

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Bytes, Characters
from seqkit.tasks.next_token.generation import Sampling, Settled, continue_text
from seqkit.tasks.next_token.spec import NextToken

ABC = DataSpec(Tokens(Characters(("<unk>", "a", "b", "\n"))), NextToken())


class Fixed(nn.Module):
    """Gives the same logits at every step and notes what it reads."""

    def __init__(self, logits, goes_on=True):
        super().__init__()
        self.goes_on = goes_on
        self.logits_V = nn.Parameter(torch.tensor(logits))
        self.read = []

    def takes_chunks(self, spec):
        return self.goes_on

    def forward(self, batch, state):
        self.read.append((batch.inputs.tolist(), state, self.training))
        return self.logits_V.expand(1, batch.inputs.shape[1], -1), None, len(self.read)


def text(logits, prompt="a", length=30, seed=1, **sampling):
    return continue_text(Fixed(logits), ABC, prompt, length, Sampling(seed=seed, **sampling))


def test_the_prompt_is_read_once_and_then_each_token_with_the_state():
    network = Fixed([0.0, 0.0, 1.0, 0.0]).train()
    assert continue_text(network, ABC, "ab", 3, Sampling(temperature=0)) == "abbbb"
    assert network.read == [([[1, 2]], None, False), ([[2]], 1, False), ([[2]], 2, False)]
    assert network.training


def test_a_network_that_cannot_go_on_reads_all_so_far():
    network = Fixed([0.0, 0.0, 1.0, 0.0], goes_on=False)
    assert continue_text(network, ABC, "ab", 3, Sampling(temperature=0)) == "abbbb"
    assert [(ids, state) for ids, state, _ in network.read] == [
        ([[1, 2]], None),
        ([[1, 2, 2]], None),
        ([[1, 2, 2, 2]], None),
    ]


def test_an_empty_prompt_starts_as_after_a_line():
    network = Fixed([0.0, 0.0, 1.0, 0.0])
    continue_text(network, ABC, "", 1, Sampling(temperature=0))
    assert network.read[0][0] == [[3]]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_unknown_token_is_never_written(temperature):
    assert set(text([9.0, 1.0, 0.0, -9.0], temperature=temperature)) <= set("ab\n")


def test_top_k_leaves_only_the_best():
    assert set(text([0.0, 0.1, 0.2, 0.0], top_k=1)) == {"a", "b"}  # the a is the prompt's
    assert set(text([0.0, 0.1, 0.2, 0.0], top_k=99)) == {"a", "b", "\n"}


def test_the_seed_decides_the_text():
    logits = [0.0, 0.0, 0.0, 0.0]
    assert text(logits, seed=1) == text(logits, seed=1) != text(logits, seed=2)


def test_top_p_leaves_the_fewest_that_add_up_to_it():
    logits = torch.tensor([0.0, 0.6, 0.3, 0.1]).log().tolist()  # of <unk>, a, b and a line's end
    assert set(text(logits, top_p=0.6, length=100)) == {"a"}
    assert set(text(logits, top_p=0.61, length=100)) == {"a", "b"}
    assert set(text(logits, length=100)) == {"a", "b", "\n"}
    assert set(text(logits, top_p=1e-9, length=100)) == {"a"}


def test_the_text_ends_before_the_first_stop_and_not_in_the_prompt():
    whole = text([0.0, 0.0, 0.0, 0.0], prompt="ba", length=60)
    added = whole[2:]
    assert "ba" in added
    assert (
        text([0.0, 0.0, 0.0, 0.0], prompt="ba", length=60, stop=["bbbbbbbbbbbb", "ba"])
        == "ba" + added[: added.index("ba")]
    )
    assert text([0.0, 0.0, 0.0, 0.0], prompt="ba", length=60, stop=["x"]) == whole


def test_pieces_are_whole_characters_and_together_the_text():
    tokenizer, pieces = Bytes(), []
    ids = [*tokenizer.encode("a\u00e9\u20ac\U0001f600b").tolist(), 0xFF, ord("c"), 0xE2]
    settled = Settled(pieces.append, "p", ())
    for number in range(1, len(ids) + 1):
        settled.update(tokenizer.continued("p", ids[:number]))
    whole = tokenizer.continued("p", ids)
    assert pieces == ["p", "a", "\u00e9", "\u20ac", "\U0001f600", "b", "\ufffdc"]
    settled.finish(whole)
    assert "".join(pieces) == whole


def test_what_may_become_a_text_to_stop_at_is_held_back():
    pieces = []
    settled = Settled(pieces.append, "ab", ("abc", "bd"))
    for text in ("aba", "abab", "ababa", "ababab", "abababx"):
        settled.update(text)
    assert pieces == ["ab", "ab", "abx"]  # not the prompt's own "ab"


def test_nothing_is_written_of_a_prompt_that_is_refused():
    pieces = []
    with pytest.raises(ConfigError, match=r"^unknown to the model: 'Z'"):
        continue_text(Fixed([0.0, 1.0, 1.0, 0.0]), ABC, "abZ", 5, Sampling(), pieces.append)
    assert pieces == []


@pytest.mark.parametrize("stop", [(), ("ba",), ("aab", "bb")])
def test_what_is_written_is_the_text(stop):
    for seed in range(5):
        pieces = []
        network = Fixed([0.0, 1.0, 1.0, 0.0])
        whole = continue_text(network, ABC, "ab", 20, Sampling(seed=seed, stop=stop), pieces.append)
        assert "".join(pieces) == whole
        assert whole == continue_text(network, ABC, "ab", 20, Sampling(seed=seed, stop=stop))
        assert len(pieces) > 1 or len(whole) <= 3

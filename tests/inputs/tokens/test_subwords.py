import json
import pickle
import sys
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.tokens import subwords
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Bytes
from seqkit.registry import find
from seqkit.specs import spec_from_json, spec_to_json
from seqkit.tasks.next_token.spec import NextToken

TEXT = "the cat sat on the mat, and then the other cat sat there too\n" * 3 + "números: 3.14 \u2603\n"


def fitted(name, size=320, text=TEXT):
    kind = find("tokenizer", name).factory
    return kind.fit(kind.pieces(text), size)


MADE = {"byte": Bytes(), "bpe": fitted("bpe"), "unigram": fitted("unigram")}


@pytest.mark.parametrize("name", MADE)
@given(text=st.text())
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_and_is_counted_right(name, text):
    tokenizer = MADE[name]
    ids_T = tokenizer.encode(text)
    assert tokenizer.decode(ids_T.tolist()) == text
    assert tokenizer.sizes()[ids_T].sum(0).tolist() == [len(text), len(text.encode())]
    assert tokenizer.ids(tokenizer.pieces(text)).tolist() == ids_T.tolist()


@pytest.mark.parametrize("name", ["bpe", "unigram"])
def test_what_comes_often_is_one_token(name):
    tokenizer = MADE[name]
    assert 256 < len(tokenizer.vocabulary) <= 320
    assert " the" in tokenizer.vocabulary
    assert len(tokenizer.encode(" the the")) == 2
    assert [tokenizer.vocabulary[i] for i in tokenizer.encode("\u2603").tolist()] in (
        ["\\xe2", "\\x98", "\\x83"],
        ["\u2603"],
        ["\\xe2\\x98", "\\x83"],
    )


@pytest.mark.parametrize("name", ["bpe", "unigram"])
def test_the_same_text_gives_the_same_tokenizer_and_it_is_plain_json(name):
    tokenizer = fitted(name)
    assert tokenizer == MADE[name]
    spec = DataSpec(Tokens(tokenizer), NextToken())
    again = spec_from_json(json.loads(json.dumps(spec_to_json(spec)))).inputs.tokenizer
    assert again == tokenizer
    assert again.encode(TEXT).tolist() == tokenizer.encode(TEXT).tolist()
    sent = pickle.loads(pickle.dumps(tokenizer))
    assert asdict(sent) == asdict(tokenizer)
    assert set(vars(sent)) == set(asdict(sent))


def test_refusals_are_one_line(monkeypatch):
    with pytest.raises(
        ConfigError, match=r"^data.vocab_size=99: data.tokenizer=bpe needs 300 tokens or more, of which"
    ):
        fitted("bpe", 99)
    with pytest.raises(
        ConfigError,
        match=r"^data.tokenizer=unigram: the training part has no word to train the tokenizer on; give more$",
    ):
        fitted("unigram", text="")
    with pytest.raises(ConfigError, match=r"^data.vocab_size=99: data.tokenizer=byte has 256 tokens; leave it out$"):
        Bytes.fit(Bytes.pieces("a"), 99)
    monkeypatch.setattr(subwords, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "tokenizers", raising=False)
    with pytest.raises(
        ConfigError, match=r"^data.tokenizer=bpe needs the library tokenizers; pip install 'seqkit\[sub"
    ):
        fitted("bpe")

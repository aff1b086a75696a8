import pytest
import torch

from seqkit.contracts.spec import DataSpec
from seqkit.inference import predict as module
from seqkit.inference.predict import predict, predict_sequence
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.network import assemble
from seqkit.registry import load_built_in
from seqkit.tasks.next_token.spec import NextToken

SPEC = DataSpec(Tokens(Characters(("a", "b", "c"))), NextToken())


@pytest.fixture
def network():
    load_built_in()
    torch.manual_seed(0)
    config = {"frontend": None, "model": {"name": "gru", "hidden_size": 6}, "head": None}
    return assemble(config, SPEC).eval()


def test_chunks_of_a_long_text_give_the_answer_of_the_whole(network, monkeypatch):
    text = torch.randint(3, (50,), generator=torch.Generator().manual_seed(0))
    whole = predict_sequence(network, SPEC, text)
    for size in (1, 7, 49):
        monkeypatch.setattr(module, "CHUNK", size)
        parts = predict_sequence(network, SPEC, text)
        assert list(parts) == list(whole)
        for name, value in whole.items():
            assert parts[name] == pytest.approx(value, rel=1e-4)


def test_the_targets_that_a_text_holds_are_scored(network):
    text = torch.tensor([0, 1, 2, 0, 1])
    logits_BTV = network(module.Batch(text[None]))[0]
    nats = torch.nn.functional.cross_entropy(logits_BTV[0, :-1], text[1:])
    assert predict_sequence(network, SPEC, text)["perplexity"] == pytest.approx(nats.exp().item(), rel=1e-4)
    assert "perplexity" not in predict_sequence(network, SPEC, text[:1])


def test_each_input_has_its_own_answer(network):
    both = predict(network, SPEC, ["abc", "cab"])
    assert both == [*predict(network, SPEC, "abc"), *predict(network, SPEC, "cab")]

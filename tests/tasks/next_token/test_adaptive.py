import pytest
import torch
from torch import nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Bytes, Words
from seqkit.network import assemble
from seqkit.tasks.next_token.adaptive import AdaptiveSoftmax
from seqkit.tasks.next_token.head import NextTokenHead
from seqkit.tasks.next_token.spec import NextToken

VOCABULARY = tuple(f"w{number}" for number in range(30))
SPEC = DataSpec(Tokens(Words(("<unk>", *VOCABULARY[1:]))), NextToken())


def made(tied, cutoffs=(5, 12), size=16):
    torch.manual_seed(0)
    softmax = AdaptiveSoftmax(size, VOCABULARY, cutoffs, tied).double()
    if tied:
        nn.init.normal_(softmax.weight)
        nn.init.normal_(softmax.bias)
    return softmax


def test_it_is_torchs_where_the_weights_are():
    ours, theirs = made(False), nn.AdaptiveLogSoftmaxWithLoss(16, 30, [5, 12], head_bias=True).double()
    with torch.no_grad():
        theirs.head.weight.copy_(torch.cat((ours.tokens[0].weight, ours.clusters.weight)))
        theirs.head.bias.copy_(torch.cat((ours.tokens[0].bias, ours.clusters.bias)))
        for own, their in zip(ours.tokens[1:], theirs.tail, strict=True):
            their[0].weight.copy_(own[0].weight)
            their[1].weight.copy_(own[1].weight)
            own[1].bias.zero_()  # they have none
    y_NH, targets_N = torch.randn(40, 16, dtype=torch.double), torch.randint(30, (40,))
    torch.testing.assert_close(ours(y_NH), theirs.log_prob(y_NH))
    torch.testing.assert_close(ours.nats(y_NH, targets_N), -theirs(y_NH, targets_N).output)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cutoffs", [(5, 12), (1,), (29,), (1, 2, 3)])
def test_nats_and_their_gradient_are_those_of_the_full_matrix(tied, cutoffs):
    softmax = made(tied, cutoffs)
    y_NH = torch.randn(50, 16, dtype=torch.double, requires_grad=True)
    targets_N = torch.arange(50) % 30
    log_probabilities_NV = softmax(y_NH)
    torch.testing.assert_close(log_probabilities_NV.exp().sum(1), torch.ones(50, dtype=torch.double))
    nats_N = softmax.nats(y_NH, targets_N)
    torch.testing.assert_close(nats_N, -log_probabilities_NV[torch.arange(50), targets_N])
    wanted = [y_NH, *softmax.parameters()]
    weights_N = torch.rand(50, dtype=torch.double)
    found = torch.autograd.grad((nats_N * weights_N).sum(), wanted)
    due = torch.autograd.grad(-(log_probabilities_NV[torch.arange(50), targets_N] * weights_N).sum(), wanted)
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("tied", [True, False])
def test_a_cluster_without_a_target_has_a_gradient_of_zero(tied):
    """Several ranks would wait for one that is not there."""
    softmax = made(tied)
    softmax.nats(torch.randn(3, 16, dtype=torch.double), torch.tensor([0, 1, 4])).sum().backward()
    assert all(parameter.grad is not None for parameter in softmax.parameters())
    rare = softmax.weight.grad[5:] if tied else softmax.tokens[2][1].weight.grad
    assert not rare.any()


@pytest.mark.parametrize("lengths", [None, [6, 2, 4]])
def test_the_loss_of_the_head_is_the_same_in_training_and_in_evaluation(lengths):
    head = NextTokenHead(16, SPEC, True, cutoffs=(5, 12), ar=0.0).double()
    y_BTH, targets_BT = torch.randn(3, 6, 16, dtype=torch.double), torch.randint(30, (3, 6))
    lengths_B = None if lengths is None else torch.tensor(lengths)
    batch = Batch(targets_BT, lengths_B, targets_BT)
    outputs = head.train()(y_BTH, lengths_B, batch)
    assert outputs.shape == (3, 6)
    trained, count = head.loss(outputs, lengths_B, batch)
    logits_BTV = head.eval()(y_BTH, lengths_B, batch)
    assert logits_BTV.shape == (3, 6, 30)
    evaluated, again = head.loss(logits_BTV, lengths_B, batch)
    assert int(count) == int(again) == sum(lengths or [18])
    torch.testing.assert_close(trained, evaluated)


def test_a_tied_one_takes_the_vectors_of_the_embedding():
    config = {
        "frontend": {"name": "embedding", "size": 6},
        "model": {"name": "elman", "hidden_size": 6},
        "head": {"name": "next_token", "tied": True, "cutoffs": [5, 12]},
    }
    network = assemble(config, SPEC)
    assert network.head.linear.weight is network.frontend.embedding.weight
    batch = Batch(torch.randint(30, (2, 7)), None, torch.randint(30, (2, 7)))
    outputs, lengths_B, _ = network.train()(batch)
    network.head.loss(outputs, lengths_B, batch)[0].backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_refuses_cutoffs_for_tokens_that_are_not_numbered_by_frequency():
    spec = DataSpec(Tokens(Bytes()), NextToken())
    with pytest.raises(
        ConfigError, match=r"^head\.cutoffs needs tokens that are numbered by frequency .*; Bytes does not"
    ):
        NextTokenHead(16, spec, True, cutoffs=(20, 100))


@pytest.mark.parametrize("cutoffs", [(5, 5), (12, 5), (30,), (5, 31)])
def test_refuses_cutoffs_that_make_an_empty_cluster(cutoffs):
    with pytest.raises(ConfigError) as caught:
        NextTokenHead(16, SPEC, True, cutoffs=cutoffs)
    assert str(caught.value) == (
        f"head.cutoffs={list(cutoffs)}: give ids that rise, each from 1 to 29, as the vocabulary has 30 tokens"
    )

import math

import pytest
import torch
from torch import nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.embedding import Embedding
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters, Words
from seqkit.network import assemble
from seqkit.registry import build
from seqkit.rng import generator
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.head import NextTokenHead
from seqkit.tasks.next_token.spec import NextToken
from seqkit.training.optimizers import parameter_groups

VOCABULARY = ("<unk>", "a", "b", "c", "d", "e", "f")
SPEC = DataSpec(Tokens(Characters(VOCABULARY)), NextToken())
WORDS = DataSpec(Tokens(Words(VOCABULARY)), NextToken())


def made(rows=3, steps=5, lengths=None):
    draw = generator("made", rows, steps)
    logits_BTV = torch.randn(rows, steps, len(VOCABULARY), generator=draw)
    tokens_BS = torch.randint(len(VOCABULARY), (rows, steps + 1), generator=draw)
    lengths_B = None if lengths is None else torch.tensor(lengths)
    return logits_BTV, lengths_B, Batch(tokens_BS[:, :-1], lengths_B, tokens_BS[:, 1:])


def nats_by_hand(logits_BTV, lengths_B, batch):
    """-log p of every valid target, one by one."""
    found = []
    for row in range(len(batch)):
        steps = logits_BTV.shape[1] if lengths_B is None else int(lengths_B[row])
        for step in range(steps):
            scores = [math.exp(value) for value in logits_BTV[row, step].tolist()]
            found.append(-math.log(scores[int(batch.targets[row, step])] / sum(scores)))
    return found


@pytest.mark.parametrize("lengths", [None, [5, 2, 4]])
def test_loss_is_the_sum_over_valid_tokens_and_their_number(lengths):
    logits_BTV, lengths_B, batch = made(lengths=lengths)
    nats, count = NextTokenHead(4, SPEC, True).loss(logits_BTV, lengths_B, batch)
    expected = nats_by_hand(logits_BTV, lengths_B, batch)
    assert int(count) == len(expected)
    assert float(nats) == pytest.approx(sum(expected), rel=1e-5)


def test_padding_has_no_gradient():
    logits_BTV, lengths_B, batch = made(lengths=[5, 2, 4])
    logits_BTV.requires_grad_()
    NextTokenHead(4, SPEC, True).loss(logits_BTV, lengths_B, batch)[0].backward()
    assert torch.all(logits_BTV.grad[1, 2:] == 0)
    assert torch.all(logits_BTV.grad[1, :2].abs().sum(-1) > 0)


def test_forward_maps_to_the_vocabulary():
    head = build("head", {"name": "next_token", "dropout": 0.5}, 4, SPEC, True).eval()
    y_BTH = torch.randn(2, 3, 4)
    logits_BTV = head(y_BTH, None, made()[2])
    assert torch.allclose(logits_BTV, nn.functional.linear(y_BTH, head.linear.weight, head.linear.bias))


def test_answers_are_the_likeliest_tokens_after_each_rows_last_one():
    logits_TV = torch.full((3, len(VOCABULARY)), -torch.inf)
    logits_TV[2, 4], logits_TV[2, 5] = math.log(3), 0.0
    head = NextTokenHead(4, SPEC, True)
    (found,) = SPEC.task.answers(head.predict(logits_TV[None], None, Batch(torch.tensor([[1, 2, 3]]))), SPEC)
    assert list(found["next"])[:2] == ["d", "e"]
    assert len(found["next"]) == 5
    assert found["next"]["d"] == pytest.approx(0.75)
    logits_BTV, lengths_B, batch = made(lengths=[5, 1, 4])
    rows = SPEC.task.answers(head.predict(logits_BTV, lengths_B, batch), SPEC)
    assert next(iter(rows[2]["next"])) == VOCABULARY[int(logits_BTV[2, 3].argmax())]


def test_a_stream_scores_all_that_was_fed():
    logits_TV = torch.full((3, len(VOCABULARY)), -torch.inf)
    logits_TV[0, 2] = 0.0  # after "a" surely "b"
    logits_TV[1, 3] = logits_TV[1, 4] = 0.0  # after "b" "c" or "d"
    logits_TV[2, 4] = 0.0
    for spec, characters in ((SPEC, 2), (WORDS, 4)):  # a word counts with the space behind it
        head = NextTokenHead(len(VOCABULARY), spec, True)
        with torch.no_grad():
            head.linear.weight.copy_(torch.eye(len(VOCABULARY)))
            head.linear.bias.zero_()
        y_BTH = logits_TV.clamp(min=-1e4)[None]
        _, first, memory = head.stream(y_BTH[:, :2], Batch(torch.tensor([[1, 2]])), None)
        _, second, _ = head.stream(y_BTH[:, 2:], Batch(torch.tensor([[3]])), memory)
        assert first["bits_per_character"] == pytest.approx(0, abs=1e-6)
        assert second["bits_per_character"] == pytest.approx(1 / characters)  # 0 bits for "b", 1 for "c"


def test_refuses_a_model_that_sees_the_answer():
    with pytest.raises(ConfigError) as caught:
        NextTokenHead(4, SPEC, False)
    assert str(caught.value) == (
        "head=next_token predicts the next token, which a model that reads backwards too would see; "
        "set model.bidirectional=false"
    )


def test_refuses_other_tasks_naming_their_head():
    frames = Frames(("x",), (0.0,), (1.0,))
    with pytest.raises(ConfigError) as caught:
        NextTokenHead(4, DataSpec(frames, Classes(("up", "down"), (1, 1))), True)
    assert str(caught.value) == "head=next_token needs next tokens to predict, this data has Classes; use head=classify"
    with pytest.raises(ConfigError, match=r"use head=forecast$"):
        NextTokenHead(4, DataSpec(frames, Series(1, ("x",), (0.0,), (1.0,))), True)
    with pytest.raises(ConfigError) as caught:
        NextTokenHead(4, DataSpec(frames, NextToken()), True)
    assert str(caught.value) == (
        "head=next_token needs Tokens to read, this data gives Frames; "
        "use head=forecast and data that has Series to predict"
    )


def tied(size, output_size, frontend=None):
    head = NextTokenHead(output_size, SPEC, True, tied=True)
    head.tie(frontend or Embedding(SPEC, size=size))
    return head


def test_a_tied_head_multiplies_by_the_vectors_of_the_embedding_and_trains_them_once():
    config = {
        "frontend": {"name": "embedding", "size": 6},
        "model": {"name": "elman", "hidden_size": 6},
        "head": {"name": "next_token", "tied": True},
    }
    network = assemble(config, SPEC)
    assert network.head.linear.weight is network.frontend.embedding.weight
    names = [name for group in parameter_groups(network) for name in group["names"]]
    assert "frontend.embedding.weight" in names
    assert "head.linear.weight" not in names
    y_BTH = torch.randn(2, 3, 6)
    logits_BTV = network.head(y_BTH, None, None)
    vectors_VH, bias_V = network.frontend.embedding.weight, network.head.linear.bias
    torch.testing.assert_close(logits_BTV, y_BTH @ vectors_VH.T + bias_V)


def test_a_tied_head_refuses_vectors_of_another_size_and_a_frontend_without():
    with pytest.raises(ConfigError) as caught:
        tied(6, 5)
    assert str(caught.value) == (
        "head.tied=true: the vectors of the embedding have 6 numbers, an output of the model has 5; set frontend.size=5"
    )
    with pytest.raises(ConfigError, match="head.tied=true needs frontend=embedding"):
        tied(6, 6, nn.Identity())


def penalty(head, y_BTH, lengths_B, targets_BT):
    """What a head in training adds to the loss, and what it counts."""
    batch = Batch(targets_BT, lengths_B, targets_BT)
    with_it, count = head.loss(head.train()(y_BTH, lengths_B, batch), lengths_B, batch)
    without, _ = head.loss(head.linear(head.dropout(y_BTH)), lengths_B, batch)
    return (with_it - without).item(), int(count)


def test_activation_regularisation_is_that_of_the_paper_where_every_step_is_valid():
    y_BTH, targets_BT = torch.randn(3, 5, 4, dtype=torch.double), torch.randint(7, (3, 5))
    head = NextTokenHead(4, SPEC, True, ar=2.0, tar=3.0).double()
    added, count = penalty(head, y_BTH, None, targets_BT)
    y_TBH = y_BTH.transpose(0, 1)
    alpha, beta = 2.0 * y_TBH.pow(2).mean(), 3.0 * (y_TBH[1:] - y_TBH[:-1]).pow(2).mean()
    assert added / count == pytest.approx(float(alpha + beta * 4 / 5), rel=1e-5)  # 4 changes for 5 tokens
    batch = Batch(targets_BT, None, targets_BT)
    logits_BTV = head.eval()(y_BTH, None, batch)
    due = nn.functional.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), reduction="sum")
    assert torch.equal(head.loss(logits_BTV, None, batch)[0], due)


def test_activation_regularisation_adds_up_over_rows_without_their_padding():
    y_BTH, targets_BT = torch.randn(3, 5, 4, dtype=torch.double), torch.randint(7, (3, 5))
    head = NextTokenHead(4, SPEC, True, ar=2.0, tar=3.0).double()
    lengths = [5, 1, 3]
    y_BTH[1, 1:] = 1e3
    rows = [penalty(head, y_BTH[b : b + 1, :n], None, targets_BT[b : b + 1, :n]) for b, n in enumerate(lengths)]
    added, count = penalty(head, y_BTH, torch.tensor(lengths), targets_BT)
    assert count == sum(own for _, own in rows)
    assert added == pytest.approx(sum(own for own, _ in rows), rel=1e-6)


@pytest.mark.parametrize("cutoffs", [(), (3,)])
def test_targets_in_the_padding_may_be_anything(cutoffs):
    y_BTH, lengths_B = torch.randn(2, 5, 4), torch.tensor([5, 2])
    head = NextTokenHead(4, SPEC, True, cutoffs=cutoffs, ar=2.0, tar=3.0).train()
    losses = []
    for padding in (0, -1, 99):
        targets_BT = torch.tensor([[1, 5, 2, 0, 6], [3, 4] + [padding] * 3])
        batch = Batch(targets_BT.clamp(0, 6), lengths_B, targets_BT)
        losses.append(head.loss(head(y_BTH, lengths_B, batch), lengths_B, batch)[0].item())
    assert losses[0] == losses[1] == losses[2] > 0


@pytest.mark.parametrize("cutoffs", [(), (3,)])
def test_a_loss_has_the_penalty_of_its_own_outputs_whatever_the_head_was_called_for_since(cutoffs):
    head = NextTokenHead(4, SPEC, True, cutoffs=cutoffs, ar=2.0, tar=3.0).train()
    parts = [(torch.randn(2, 5, 4) * scale, torch.randint(7, (2, 5))) for scale in (1, 3)]
    batches = [Batch(targets_BT, None, targets_BT) for _, targets_BT in parts]
    due = [head.loss(head(y, None, own), None, own)[0] for (y, _), own in zip(parts, batches, strict=True)]
    outputs = [head(y, None, own) for (y, _), own in zip(parts, batches, strict=True)]
    head.eval()(parts[0][0], None, batches[0])
    found = [head.loss(output, None, own)[0] for output, own in zip(outputs, batches, strict=True)]
    torch.testing.assert_close(found, due, rtol=0, atol=0)


def test_activation_regularisation_is_of_dropped_outputs_and_temporal_of_raw_ones():
    y_BTH, targets_BT = torch.randn(2, 6, 4, dtype=torch.double), torch.randint(7, (2, 6))
    for options, due in (({"ar": 1.0}, 0.0), ({"tar": 1.0}, float(y_BTH.diff(dim=1).square().mean(2).sum()))):
        head = NextTokenHead(4, SPEC, True, dropout=1.0, **options).double()
        assert penalty(head, y_BTH, None, targets_BT)[0] == pytest.approx(due, rel=1e-5)

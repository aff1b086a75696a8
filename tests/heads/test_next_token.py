import math

import pytest
import torch
from torch import nn

from seqkit.contracts import Batch, Classes, DataSpec, Frames, NextToken, Series, Tokens
from seqkit.data.batching import generator
from seqkit.errors import ConfigError
from seqkit.heads.next_token import NextTokenHead
from seqkit.registry import build

VOCABULARY = ("<unk>", "a", "b", "c", "d", "e", "f")
SPEC = DataSpec(Tokens(VOCABULARY), NextToken())
WORDS = DataSpec(Tokens(VOCABULARY, "word"), NextToken())


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


@pytest.mark.parametrize("lengths", [None, [5, 2, 4]])
def test_scores_are_sums_over_tokens(lengths):
    logits_BTV, lengths_B, batch = made(lengths=lengths)
    nats = nats_by_hand(logits_BTV, lengths_B, batch)
    scores = NextTokenHead(4, SPEC, True).scores()
    for row in range(3):  # one at a time: the split into batches must not matter
        one = slice(row, row + 1)
        row_lengths = None if lengths_B is None else lengths_B[one]
        scores.update(logits_BTV[one], row_lengths, Batch(batch.inputs[one], row_lengths, batch.targets[one]))
    found = {name: float(value) for name, value in scores.compute().items()}
    loss = sum(nats) / len(nats)
    assert found["loss"] == pytest.approx(loss, rel=1e-6)
    assert found["perplexity"] == pytest.approx(math.exp(loss), rel=1e-6)
    assert found["bits_per_character"] == pytest.approx(loss / math.log(2), rel=1e-6)
    steps = [5] * 3 if lengths is None else lengths
    hits = sum(int(logits_BTV[r, t].argmax() == batch.targets[r, t]) for r in range(3) for t in range(steps[r]))
    assert found["accuracy"] == pytest.approx(hits / sum(steps))
    assert scores.nats.dtype == torch.float64


def test_the_unit_chooses_the_score_that_is_watched():
    assert NextTokenHead(4, SPEC, True).monitor == ("bits_per_character", "min")
    head = NextTokenHead(4, WORDS, True)
    assert head.monitor == ("perplexity", "min")
    scores = head.scores()
    scores.update(*made())
    assert set(scores.compute()) == {"loss", "perplexity", "accuracy"}


def test_a_uniform_model_scores_the_size_of_the_vocabulary():
    _, _, batch = made()
    scores = NextTokenHead(4, SPEC, True).scores()
    scores.update(torch.zeros(3, 5, len(VOCABULARY)), None, batch)
    assert float(scores.compute()["perplexity"]) == pytest.approx(len(VOCABULARY))


def test_forward_maps_to_the_vocabulary():
    head = build("head", {"name": "next_token", "dropout": 0.5}, 4, SPEC, True).eval()
    y_BTH = torch.randn(2, 3, 4)
    logits_BTV = head(y_BTH, None, made()[2])
    assert torch.allclose(logits_BTV, nn.functional.linear(y_BTH, head.linear.weight, head.linear.bias))


def test_decode_shows_what_comes_next_and_how_well_the_text_was_known():
    logits_TV = torch.full((3, len(VOCABULARY)), -torch.inf)
    logits_TV[0, 2] = 0.0  # after "a" surely "b"
    logits_TV[1, 3] = logits_TV[1, 4] = 0.0  # after "b" "c" or "d"
    logits_TV[2, 4], logits_TV[2, 5] = math.log(3), 0.0
    batch = Batch(torch.tensor([[1, 2, 3]]))
    (found,) = NextTokenHead(4, SPEC, True).decode(logits_TV[None], None, batch)
    assert list(found["next"])[:2] == ["d", "e"]
    assert len(found["next"]) == 5
    assert found["next"]["d"] == pytest.approx(0.75)
    assert found["bits_per_character"] == pytest.approx(0.5)  # 0 bits for "b", 1 for "c"
    (found,) = NextTokenHead(4, WORDS, True).decode(logits_TV[None], None, batch)
    assert found["perplexity"] == pytest.approx(math.sqrt(2))


def test_decode_ends_at_each_rows_length_and_uses_targets_where_there_are_some():
    logits_BTV, lengths_B, batch = made(lengths=[5, 1, 4])
    rows = NextTokenHead(4, SPEC, True).decode(logits_BTV, lengths_B, batch)
    best = int(logits_BTV[2, 3].argmax())
    assert next(iter(rows[2]["next"])) == VOCABULARY[best]
    nats = nats_by_hand(logits_BTV, lengths_B, batch)
    assert rows[1]["bits_per_character"] == pytest.approx(nats[5] / math.log(2), rel=1e-5)
    (alone,) = NextTokenHead(4, SPEC, True).decode(logits_BTV[:1, :1], None, Batch(batch.inputs[:1, :1]))
    assert set(alone) == {"next"}


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

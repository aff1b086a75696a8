from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqkit.tasks.tag.crf import ConditionalRandomField


def by_hand(crf, scores_TC):
    """Return the score of every sequence of tags."""
    steps, tags = scores_TC.shape
    found = {}
    for path in product(range(tags), repeat=steps):
        total = crf.first[path[0]] + crf.last[path[-1]] + sum(scores_TC[t, tag] for t, tag in enumerate(path))
        found[path] = float(total + sum(crf.transitions[a, b] for a, b in pairwise(path)))
    return found


@given(st.integers(1, 3), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
@torch.no_grad()
def test_every_sequence_by_brute_force(tags, lengths, seed):
    draw = torch.Generator().manual_seed(seed)
    crf = ConditionalRandomField(tags).double()
    for parameter in crf.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
    scores_BTC = torch.randn(len(lengths), max(lengths), tags, generator=draw, dtype=torch.float64)
    lengths_B = torch.tensor(lengths)
    best_BT, log_B = crf.best(scores_BTC, lengths_B), crf.log_partition(scores_BTC, lengths_B)
    marginals_BTC = crf.marginals(scores_BTC, lengths_B)
    for row, length in enumerate(lengths):
        every = by_hand(crf, scores_BTC[row, :length])
        assert tuple(best_BT[row, :length].tolist()) == max(every, key=every.get)
        assert not best_BT[row, length:].any()
        total = torch.tensor(list(every.values()), dtype=torch.float64).logsumexp(0)
        assert float(log_B[row]) == pytest.approx(float(total), rel=1e-9)
        for path, score in every.items():
            padded = torch.tensor([[*path, *[0] * (max(lengths) - length)]])
            assert float(crf.score(scores_BTC[[row]], padded, lengths_B[[row]])) == pytest.approx(score, rel=1e-9)
        for step, tag in product(range(length), range(tags)):
            due = sum(float((score - total).exp()) for path, score in every.items() if path[step] == tag)
            assert float(marginals_BTC[row, step, tag]) == pytest.approx(due, abs=1e-9)


def test_without_lengths_every_step_counts():
    crf = ConditionalRandomField(2)
    scores_BTC = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0))
    whole = torch.tensor([5, 5])
    assert torch.equal(crf.best(scores_BTC, None), crf.best(scores_BTC, whole))
    assert torch.equal(crf.log_partition(scores_BTC, None), crf.log_partition(scores_BTC, whole))

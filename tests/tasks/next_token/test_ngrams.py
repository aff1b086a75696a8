import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from seqkit.tasks.next_token.ngrams import ngrams, probabilities


class ByHand:
    """Witten-Bell as it is written, one probability at a time."""

    def __init__(self, train, vocab_size, order):
        self.vocab_size = vocab_size
        self.counts = defaultdict(Counter)
        for n in range(order):
            for i in range(n, len(train)):
                self.counts[tuple(train[i - n : i])][train[i]] += 1

    def p(self, context, token):
        lower = self.p(context[1:], token) if context else 1 / self.vocab_size
        seen = self.counts.get(tuple(context))
        if not seen:
            return lower
        return (seen[token] + len(seen) * lower) / (sum(seen.values()) + len(seen))

    def nats(self, part, order):
        places = range(1, len(part))
        return -sum(math.log(self.p(part[max(0, i - order + 1) : i], part[i])) for i in places) / len(places)


def drawn(size, vocab_size, seed):
    """Tokens with some structure: each is the one before plus 0, 1 or 2."""
    steps = np.random.default_rng(seed).integers(0, 3, size)
    return np.cumsum(steps) % vocab_size


@pytest.mark.parametrize("vocab_size", [5, 40, 2**20, 2**40])
def test_equals_counting_by_hand(vocab_size):
    # From 2**20 on, five tokens do not fit in one integer and contexts are numbered anew.
    train, part = drawn(500, 11, 1), drawn(60, 12, 2)
    train, part = (train % vocab_size, part % vocab_size)
    found = ngrams(train, part, vocab_size)
    by_hand = ByHand(train.tolist(), vocab_size, 5)
    assert list(found) == [1, 2, 3, 4, 5]
    for order, nats in found.items():
        assert nats == pytest.approx(by_hand.nats(part.tolist(), order), rel=1e-12)


def test_probabilities_sum_to_one():
    vocab_size, train = 6, drawn(200, 6, 3)
    for context in ([0, 1, 2], [5, 5, 4], [3, 0, 3]):
        parts = [np.array([*context, token]) for token in range(vocab_size)]
        by_order = [list(probabilities(train, part, vocab_size, 4)) for part in parts]
        for n in range(4):
            assert sum(p[n][-1] for p in by_order) == pytest.approx(1, rel=1e-12)


def test_only_the_orders_asked_for():
    train = drawn(200, 6, 3)
    assert list(ngrams(train, train, 6, (2, 4))) == [2, 4]
    assert ngrams(train, train, 6, (2, 4))[4] == ngrams(train, train, 6)[4]


def test_a_text_that_repeats_is_learnt():
    train = np.tile(np.arange(4), 200)
    found = ngrams(train, train[:100], 4)
    assert found[1] == pytest.approx(math.log(4), rel=1e-3)
    assert found[2] < 0.02

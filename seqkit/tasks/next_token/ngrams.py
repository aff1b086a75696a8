"""N-grams: text predicted by counting."""

from collections.abc import Iterable

import numpy as np

ORDERS = (1, 2, 3, 4, 5)


def ngrams(
    train_ids: np.ndarray, eval_ids: np.ndarray, vocab_size: int, orders: Iterable[int] = ORDERS
) -> dict[int, float]:
    """Return the cross entropy of interpolated Witten-Bell n-grams, in nats per token.

    With c(h w) the occurrences of token w after context h in training and T(h) the different tokens seen there::

        p(w | h) = (c(h w) + T(h) p(w | h')) / (c(h) + T(h))

    where h' is h without its oldest token; below the empty context every token is equally likely. Every token but the
    first is predicted, from as many of the tokens before it as the order takes and the part has.

    Args:
        train_ids: Token ids to count.
        eval_ids: Token ids to predict.
        vocab_size: Different ids there can be.
        orders: Tokens per n-gram, the predicted one included.

    Source: Witten and Bell 1991, method C; interpolated as in Chen and Goodman 1999, section 2.4.
    """
    orders = sorted(orders)
    found = {}
    for order, p in enumerate(probabilities(train_ids, eval_ids, vocab_size, orders[-1]), start=1):
        if order in orders:
            found[order] = float(-np.log(p[1:]).mean())
    return found


def probabilities(train_ids: np.ndarray, eval_ids: np.ndarray, vocab_size: int, order: int) -> Iterable[np.ndarray]:
    """Yield the probability of each token of ``eval_ids`` under n-grams of order 1, then 2, up to ``order``."""
    train, part = (ids.astype(np.int64, copy=False) for ids in (train_ids, eval_ids))
    p = np.full(len(part), 1 / vocab_size)
    # The n tokens that end at each place, as one number; -1 in ``part`` for what training does not have.
    train_keys, part_keys = np.zeros(len(train) + 1, np.int64), np.zeros(len(part) + 1, np.int64)
    highest = 1
    for n in range(1, order + 1):
        if highest > np.iinfo(np.int64).max // vocab_size:
            contexts = np.unique(train_keys)
            train_keys = np.searchsorted(contexts, train_keys)
            part_keys = _find(contexts, part_keys)
            highest = len(contexts)
        highest *= vocab_size
        train_keys = train_keys[:-1] * vocab_size + train[n - 1 :]
        part_keys = np.where(part_keys[:-1] < 0, -1, part_keys[:-1] * vocab_size + part[n - 1 :])

        grams, counts = np.unique(train_keys, return_counts=True)
        contexts, first = np.unique(grams // vocab_size, return_index=True)
        totals = np.add.reduceat(counts, first)
        kinds = np.diff(first, append=len(grams))

        gram, context = _find(grams, part_keys), _find(contexts, part_keys // vocab_size)
        count = np.where(gram < 0, 0, counts[gram])
        lower = p[n - 1 :]
        p = p.copy()
        p[n - 1 :] = np.where(context < 0, lower, (count + kinds[context] * lower) / (totals[context] + kinds[context]))
        yield p


def _find(known: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return where each key stands in ``known``, which is sorted, and -1 for one that is not there."""
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[places] == keys, places, -1)

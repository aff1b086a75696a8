"""Carried state that goes to another number of ranks."""

import pytest
import torch

from seqkit.data.ordering import rows_of_rank
from seqkit.training.carried import shared_anew


@pytest.mark.parametrize("rows", [1, 2, 5, 8])
@pytest.mark.parametrize(("before", "now"), [(1, 2), (2, 1), (2, 3), (3, 2), (4, 4), (4, 1)])
def test_each_row_goes_to_the_rank_that_reads_on_in_it(rows, before, now):
    whole = (torch.arange(rows * 6.0).view(2, rows, 3), torch.arange(rows * 2.0).view(2, rows))

    def cut(ranks):
        own = [rows_of_rank(range(rows), rank, ranks) for rank in range(ranks)]
        return [[part[:, list(indices)] for part in whole] if indices else None for indices in own]

    found = shared_anew(cut(before), now)
    for own, due in zip(found, cut(now), strict=True):
        assert (own is None) == (due is None)
        assert own is None or all(torch.equal(one, other) for one, other in zip(own, due, strict=True))


def test_nothing_carried_stays_nothing():
    assert shared_anew([None, None], 3) == [None, None, None]


def test_a_model_without_state_goes_on_on_any_number_of_ranks():
    assert shared_anew([[], []], 3) == [None, None, None]

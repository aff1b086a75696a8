import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqkit.data.ordering import bucketed, sequential, shuffled, stream_starts, streams

SIZES = st.integers(1, 60)
BATCHES = st.integers(1, 9)


def flat(batches):
    return [index for batch in batches for index in batch]


@given(SIZES, BATCHES, st.integers(0, 5))
def test_sequential_keeps_the_order(size, batch_size, first):
    order = sequential(size, batch_size, first)
    assert flat(order) == list(range(first, first + size))
    assert all(len(batch) == batch_size for batch in order[:-1])


@given(SIZES, BATCHES, st.slices(20))
def test_sequential_is_indexed_and_sliced_as_a_list(size, batch_size, part):
    order = sequential(size, batch_size)
    assert list(order[part]) == list(order)[part]
    assert order[-1] == list(order)[-1]
    with pytest.raises(IndexError):
        order[len(order)]


def test_sequential_makes_no_batch_before_it_is_asked_for():
    order = sequential(10**15, 10)
    assert len(order) == 10**14
    assert order[1000:][0] == list(range(10_000, 10_010))


@given(SIZES, BATCHES, st.integers(0, 3), st.integers(0, 3))
def test_shuffled_covers_each_sample_once(size, batch_size, seed, epoch):
    order = shuffled(size, batch_size, seed, epoch)
    assert sorted(flat(order)) == list(range(size))
    assert order == shuffled(size, batch_size, seed, epoch)


def test_seed_and_epoch_change_the_order():
    orders = [flat(shuffled(50, 8, *key)) for key in ((1, 0), (1, 1), (2, 0))]
    assert len(set(map(tuple, orders))) == 3
    lengths = list(range(50))
    assert len({str(bucketed(lengths, 8, *key)) for key in ((1, 0), (1, 1), (2, 0))}) == 3


@given(st.lists(st.integers(1, 100), min_size=1, max_size=60), BATCHES, st.integers(1, 4))
def test_bucketed_covers_each_sample_once(lengths, batch_size, pool):
    order = bucketed(lengths, batch_size, 1, 0, pool)
    assert sorted(flat(order)) == list(range(len(lengths)))
    assert max(map(len, order)) <= batch_size


def test_bucketed_puts_similar_lengths_together():
    lengths = [index * 7 % 40 for index in range(40)]
    for batch in bucketed(lengths, 4, 1, 0):
        assert max(lengths[i] for i in batch) - min(lengths[i] for i in batch) == 3


@given(SIZES, st.integers(1, 20), BATCHES)
def test_streams_cover_each_sample_once_and_rows_continue(size, count, batch_size):
    order = streams(size, count, batch_size)
    starts = stream_starts(size, count)
    assert sorted(flat(order)) == list(range(size))
    before = []
    for batch in order:
        assert len(batch) <= batch_size
        for row, sample in enumerate(batch):
            assert sample in starts or before[row] == sample - 1
        before = batch


@given(SIZES, st.integers(1, 20))
def test_streams_are_as_even_as_can_be(size, count):
    starts = [*sorted(stream_starts(size, count)), size]
    lengths = [end - start for start, end in itertools.pairwise(starts)]
    assert len(lengths) == min(count, size)
    assert max(lengths) - min(lengths) <= 1

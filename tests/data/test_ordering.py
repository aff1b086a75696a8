import pytest

from seqkit.data.ordering import by_length, sequential


def test_a_pass_longer_than_memory_is_made_as_it_is_asked_for():
    order = sequential(10**13, 64, first=5)
    assert len(order) == 156_250_000_000
    assert order[0] == list(range(5, 69))
    assert order[-1] == list(range(10**13 - 59, 10**13 + 5))
    assert order[10**9 :][0][0] == 64 * 10**9 + 5
    assert len(order[3:]) == len(order) - 3


@pytest.mark.parametrize("size", [1, 7, 8, 9])
def test_every_sample_comes_once_in_order(size):
    order = sequential(size, 4)
    assert [index for batch in order for index in batch] == list(range(size))
    assert list(order[1:]) == list(order)[1:]
    assert list(order[::2]) == list(order)[::2]
    with pytest.raises(IndexError):
        order[len(order)]


def test_only_training_is_by_length():
    lengths = [5, 1, 4, 2, 3, 6]
    assert list(by_length(lengths, "test", 2, seed=0, epoch=0)) == [[0, 1], [2, 3], [4, 5]]
    batches = by_length(lengths, "train", 2, seed=0, epoch=0)
    assert sorted(sorted(lengths[index] for index in batch) for batch in batches) == [[1, 2], [3, 4], [5, 6]]

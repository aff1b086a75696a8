import numpy as np
import pytest
import torch

from seqkit.errors import DataError
from seqkit.inputs.frames.reading import read_array
from seqkit.inputs.frames.spec import Frames


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "a.csv"
    place.write_text("time,a,b\n2016-07-01,1,2\n2016-07-02,3,4\n2016-07-03,5,6\n")
    return place


def rows(path, names=("a", "b"), lookback=None, time=None, repeats="refuse"):
    frames = Frames(names, (0.0,) * len(names), (1.0,) * len(names), time_column=time, repeats=repeats)
    return frames.read(path, lookback)


def test_the_last_rows_come_with_the_columns_in_the_order_of_the_names(path):
    assert torch.equal(rows(path, ("b", "a"), 2), torch.tensor([[4.0, 3.0], [6.0, 5.0]]))
    assert rows(path).shape == (3, 2)


def test_a_gap_before_the_rows_that_are_read_is_no_matter(path):
    path.write_text("a,b\n1,\n3,4\n5,6\n")
    assert torch.equal(rows(path, lookback=2), torch.tensor([[3.0, 4.0], [5.0, 6.0]]))
    with pytest.raises(DataError, match="line 2"):
        rows(path)


def test_of_rows_with_one_time_the_first_is_read_where_told_so(path):
    path.write_text("time,a,b\n2016-07-01,1,2\n2016-07-01,9,9\n2016-07-02,3,4\n")
    assert torch.equal(rows(path, time="time", repeats="first"), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


def test_too_few_rows_are_refused(path):
    with pytest.raises(DataError) as refusal:
        rows(path, lookback=4)
    assert str(refusal.value) == f"{path} has 3 rows; the model was trained to read 4"


def test_a_value_without_a_logarithm_is_refused_where_it_is_taken(path):
    frames = Frames(("a", "b"), (0.0,) * 2, (1.0,) * 2, transform="log")
    assert frames.read(path, 2).tolist() == [[3, 4], [5, 6]]
    path.write_text("a,b\n0,1\n3,4\n5,0\n")
    with pytest.raises(DataError, match="a.csv, line 4, column 'b': 0 has no logarithm"):
        frames.read(path, 2)
    with pytest.raises(DataError, match="the array, row 2, column 'b': -1 has no logarithm"):
        frames.read([[1, 2], [3, -1]])
    with pytest.raises(DataError, match="the chunk, row 1, column 'a': 0 has no logarithm"):
        frames.chunk([0, 1])


def test_an_array_is_read_likewise():
    assert torch.equal(read_array([[1, 2], [3, 4]], ("a", "b"), 1), torch.tensor([[3.0, 4.0]]))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 3)), "the array has shape (4, 3); expected (rows, 2): a, b"),
        (np.zeros(4), "the array has shape (4,); expected (rows, 2): a, b"),
        ([[1.0, float("nan")]], "the array holds values that are not numbers (NaN or infinity)"),
        (np.zeros((1, 2)), "the array has 1 rows; the model was trained to read 2"),
    ],
)
def test_another_array_is_refused(array, message):
    with pytest.raises(DataError) as refusal:
        read_array(array, ("a", "b"), 2)
    assert str(refusal.value) == message

import numpy as np
import pytest
import torch

from seqkit.errors import DataError
from seqkit.inputs.chunks import as_chunk, as_numbers


@pytest.mark.parametrize(
    ("chunk", "row", "shape"),
    [
        ([[1, 2], [3, 4], [5, 6]], (2,), (3, 2)),
        ([1, 2], (2,), (1, 2)),
        (np.ones((4, 2))[::-1], (2,), (4, 2)),
        ([1, 2, 3], (1,), (3, 1)),
        (5.0, (1,), (1, 1)),
        ([[1], [2]], (1,), (2, 1)),
        ([1, 2, 3], (), (3,)),
        (7, (), (1,)),
        ([], (2,), (0, 2)),
        (torch.empty(0, 5), (), (0,)),
    ],
)
def test_a_chunk_becomes_steps_first(chunk, row, shape):
    assert tuple(as_chunk(chunk, row, "rows").shape) == shape


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        ([[1, 2, 3]], "a chunk must be rows (T, 2); this one has shape (1, 3)"),
        ([1, 2, 3], "a chunk must be rows (T, 2); this one has shape (3,)"),
        ("text", "a chunk must be rows (T, 2); this one is of type str"),
        ([[1, 2], [3]], "a chunk must be rows (T, 2); this one is of type list"),
    ],
)
def test_another_shape_or_type_is_refused(chunk, message):
    with pytest.raises(DataError) as refusal:
        as_chunk(chunk, (2,), "rows (T, 2)")
    assert str(refusal.value) == message


def test_numbers_are_float32():
    assert torch.equal(as_numbers([[1, 2]], (2,), "rows"), torch.tensor([[1.0, 2.0]]))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1j])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(DataError, match="holds values that are not numbers"):
        as_numbers([[1, value]], (2,), "rows")

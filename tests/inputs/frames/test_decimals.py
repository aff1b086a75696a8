import polars as pl
import pytest

from seqkit.inputs.frames.decimals import DECIMALS, ambiguous_row, certain_row, holds_numbers, numbers

# cell: with a decimal point, with a decimal comma; None where it is no number so
CELLS = {
    "5": (5, 5), "5.3": (5.3, None), "5,3": (None, 5.3), "1,234": (1234, 1.234), "1.234": (1.234, 1234), "0,123": (None, 0.123),
    "0.123": (0.123, None), "1234,567": (None, 1234.567), "1.234,5": (None, 1234.5), "1,234.5": (1234.5, None), "1.234.567": (None, 1234567),
    "-1,234,567": (-1234567, None), "1 234,5": (None, 1234.5), "1\u202f234": (1234, 1234), "1'234.5": (1234.5, None), ".5": (0.5, None),
    "-1,5e3": (None, -1500), "1.500e3": (1500, None), "1e5": (1e5, 1e5), "007": (7, 7), "1,2,3": (None, None), "12,34,567": (None, None),
    "e5": (None, None), "-": (None, None), "abc": (None, None), "2024-01-01": (None, None), "1 2": (None, None),
}  # fmt: skip
AMBIGUOUS = {"1,234", "1.234"}


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_by_each_decimal_mark(cell):
    column, expected = pl.Series([cell]), CELLS[cell]
    assert tuple(numbers(column, decimal)[0] for decimal in DECIMALS) == expected
    assert holds_numbers(column) == (expected != (None, None))
    one_way = (expected[0] is None) != (expected[1] is None)
    certain = [certain_row(column, decimal) == 0 for decimal in DECIMALS]
    assert certain == [one_way and value is not None for value in expected]
    assert any(ambiguous_row(column, decimal) == 0 for decimal in DECIMALS) == (cell in AMBIGUOUS)


@pytest.mark.parametrize(
    ("cells", "row"), [(["5", "1,234"], 1), (["1,234.5", "1,234"], None), (["1,234", "1,234,567"], None)]
)
def test_another_cell_settles_what_one_leaves_open(cells, row):
    assert ambiguous_row(pl.Series(cells), "point") == row


def test_empty_cells_stay_empty():
    assert numbers(pl.Series([None, "1,5"]), "comma").to_list() == [None, 1.5]

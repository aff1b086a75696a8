import pytest

from seqkit.errors import DataError
from seqkit.inputs.frames.csv_head import plain_number, refuse_no_header


@pytest.mark.parametrize(("cell", "plain"), [
    ("12 %", "12"), ("$5.20", "5.20"), ("7€", "7"), ("abc", None), ("5.3", None), ("12a", None), ("", None), ("1" * 50 + "%", None),
])  # fmt: skip
def test_numbers_with_a_unit(cell, plain):
    assert plain_number(cell) == plain


@pytest.mark.parametrize(("names", "first", "wanted", "refused"), [
    (["a", "b"], ["1", "2"], [], False),
    (["0", "1", "2"], ["5", "6", "7"], [], False),  # as pandas names columns without names
    (["country", "2019", "2020"], ["AT", "1", "2"], [], False),
    (["x", "2024-01-01"], ["1", "2"], [], False),  # a wide table with a column per day
    (["0"], ["1"], [], True),
    (["5"], ["1"], ["5"], False),  # asked for by this name
    (["1.5", "7"], ["1.5", "8"], [], True),
    (["2024-01-01", "ok"], ["2024-01-02", "ok"], [], True),
    (["31.12.2024", "ok"], ["01.01.2025", "ok"], [], True),
    (["1,5", "7"], ["1,5", "8"], [], True),
])  # fmt: skip
def test_a_first_line_of_values_is_no_header(tmp_path, names, first, wanted, refused):
    cells = dict(zip(names, first, strict=True))
    if not refused:
        refuse_no_header(tmp_path, names, cells, wanted)
        return
    with pytest.raises(DataError, match="no header line: line 1 holds "):
        refuse_no_header(tmp_path, names, cells, wanted)

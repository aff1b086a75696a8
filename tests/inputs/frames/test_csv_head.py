import gzip

import pytest

from seqkit.errors import DataError
from seqkit.inputs.frames.csv_head import first_bad_line, plain_number, refuse_no_header, refuse_other_formats


@pytest.mark.parametrize(("cell", "plain"), [
    ("5,123,456", "5123456"), ("-1,234.5", "-1234.5"), ("5,3", "5.3"), ("1.234,5", "1234.5"), ("1.234.567", "1234567"),
    ("5 123,4", "5123.4"), ("5'123", "5123"), ("5\u202f123", "5123"), ("12 %", "12"), ("$5.20", "5.20"), ("7€", "7"),
    ("abc", None), ("2016-07-01", None), ("13:30", None), ("1,2,3", None), ("12a", None), ("", None), ("1" * 50, None),
])  # fmt: skip
def test_numbers_written_otherwise(cell, plain):
    assert plain_number(cell) == plain


@pytest.mark.parametrize(
    "content", [b"a,b\n", b"a\n", b'"x; y",b\n', b"temperature; C,b,c\n", b"", gzip.compress(b"a,b\n1,2\n", mtime=0)]
)
def test_commas_pass(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    refuse_other_formats(tmp_path / "a.csv")


def test_a_separator_within_gzip_is_named(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a;b\n1;2\n", mtime=0))
    with pytest.raises(DataError, match="line 1: columns are separated by semicolons"):
        refuse_other_formats(tmp_path / "a.csv.gz")


@pytest.mark.parametrize(("names", "first", "wanted", "refused"), [
    (["a", "b"], ["1", "2"], [], False),
    (["0", "1", "2"], ["5", "6", "7"], [], False),  # as pandas names columns without names
    (["country", "2019", "2020"], ["AT", "1", "2"], [], False),
    (["x", "2024-01-01"], ["1", "2"], [], False),  # a wide table with a column per day
    (["0"], ["1"], [], True),
    (["5"], ["1"], ["5"], False),  # asked for by this name
    (["1.5", "7"], ["1.5", "8"], [], True),
    (["2024-01-01", "ok"], ["2024-01-02", "ok"], [], True),
])  # fmt: skip
def test_a_first_line_of_values_is_no_header(tmp_path, names, first, wanted, refused):
    cells = dict(zip(names, first, strict=True))
    if not refused:
        refuse_no_header(tmp_path, names, cells, wanted)
        return
    with pytest.raises(DataError, match="no header line: line 1 holds "):
        refuse_no_header(tmp_path, names, cells, wanted)


def test_the_first_bad_line_is_numbered(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,"2,3"\n1,2,3\n\xff\n')
    assert first_bad_line(path) == (3, "3 cells, the header has 2; a comma inside a cell needs quotes")
    path.write_bytes(b"a,b\n1,2\n\xff\n")
    assert first_bad_line(path) == (3, "is not UTF-8. Save the file as UTF-8")
    path.write_bytes(b"a,b\n1,2\n")
    assert first_bad_line(path) is None

import gzip

import pytest

from seqkit.errors import DataError
from seqkit.inputs.frames.csv_head import first_bad_line, plain_number, refuse_no_header, refuse_other_formats


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return to_file


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"PK\x03\x04....", "is an Excel workbook or another zip archive; save its sheet as CSV"),
        (b"PAR1....", "is a Parquet file; name it with the ending .parquet"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (b"a,b\0\n", ", line 1: holds NUL bytes"),
        (b"a;b;c\n1;2;3\n", ", line 1: columns are separated by semicolons"),
        (b"a\tb\n", ", line 1: columns are separated by tabs"),
        (gzip.compress(b"a|b|c,d\n"), ", line 1: columns are separated by bars"),
    ],
)
def test_other_formats_are_refused(write, start, said):
    path = write(start)
    with pytest.raises(DataError) as refusal:
        refuse_other_formats(path)
    assert said in str(refusal.value)
    assert str(refusal.value).startswith(str(path))


@pytest.mark.parametrize("start", [b"a,b\n", b"a\n", b'a,"b; c; d; e"\n', b"a;b,c,d\n", b"", gzip.compress(b"a,b\n")])
def test_commas_pass(write, start):
    refuse_other_formats(write(start))


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["1.5", "2.5", "3"], ["2", "3", "4"]),
        (["2016-07-01", "x"], ["2016-07-02", "1"]),
        (["5,3", ""], ["5,4", "1"]),
    ],
)
def test_a_first_line_of_values_is_refused(tmp_path, names, first):
    with pytest.raises(DataError, match="no header line: line 1 holds '"):
        refuse_no_header(tmp_path, names, dict(zip(names, first, strict=True)), [])


@pytest.mark.parametrize(
    ("names", "first", "wanted"),
    [
        (["time", "x"], ["2016-07-01", "1"], []),
        (["0", "1", "2"], ["5", "6", "7"], []),  # as pandas writes columns without names
        (["2016", "2017"], ["5", "6"], ["2017"]),
        (["50", "x"], ["5", "6"], []),
        ([""], ["1"], []),
    ],
)
def test_a_first_line_of_names_passes(tmp_path, names, first, wanted):
    refuse_no_header(tmp_path, names, dict(zip(names, first, strict=True)), wanted)


@pytest.mark.parametrize(
    ("cell", "plain"),
    [
        ("5,123,456", "5123456"),
        ("5,3", "5.3"),
        ("5.123,4", "5123.4"),
        ("5.123.456", "5123456"),
        ("5 123,4", "5123.4"),
        ("12 %", "12"),
        ("$5.20", "5.20"),
        ("5.3", None),
        ("abc", None),
        ("1,2,3", None),
    ],
)
def test_numbers_as_people_write_them(cell, plain):
    assert plain_number(cell) == plain


def test_the_first_bad_line(write):
    cells = "3 cells, the header has 2; a comma inside a cell needs quotes"
    assert first_bad_line(write(b'a,b\n1,"2,3"\n1,2,3\n')) == (3, cells)
    assert first_bad_line(write(gzip.compress(b"a,b\n1,2,3\n"), "a.csv.gz")) == (2, cells)
    assert first_bad_line(write(b"a,b\n1,\xff\n")) == (2, "is not UTF-8. Save the file as UTF-8")
    assert first_bad_line(write(b"a,b\n1,2\n")) is None

import gzip
import importlib.util

import polars as pl
import pytest

from seqkit.errors import ConfigError, DataError
from seqkit.inputs import delimited
from seqkit.inputs.delimited import find_separator, first_bad_line, read_text_table
from tests.bad_files import xlsx


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to_file


@pytest.mark.parametrize(("content", "separator"), [
    ("a,b\n1,2\n", "comma"), ("a;b\n1,5;2\n", "semicolon"), ("a\tb\n1,5\t2;3\n", "tab"), ("a|b\n", "pipe"), ("a\n1,2\n", "comma"),
    ('"x; y",b\n', "comma"), ("load, kW;heat\n1,5;2\n1;2\n", "semicolon"), ("\ufeffa;b\n1;2\n", "semicolon"),
    ("temperature; C,b\n1,2\n3,4\n", "comma"),
])  # fmt: skip
def test_the_separator_is_that_of_the_header_which_the_rows_agree_with(write, content, separator):
    assert find_separator(write(content)) == separator
    assert find_separator(write(gzip.compress(content.encode()), "a.csv.gz")) == separator


def test_a_separator_that_could_be_another_is_asked_for(write):
    path = write("a,b;c\n1,2;3\n")
    with pytest.raises(
        DataError,
        match="line 1: its cells may be separated by comma or semicolon. Say data.separator=comma or data.sep",
    ):
        find_separator(path)
    assert find_separator(path, "semicolon") == "semicolon"
    with pytest.raises(DataError, match="line 1: no tab in it, as data.separator=tab asks for, but a comma"):
        find_separator(path, "tab")


ROWS = [{"text": 'a, "b"', "label": "1"}, {"text": "c\nd", "label": "2"}]


@pytest.mark.parametrize(("name", "content", "lines"), [
    ("a.csv", '\ufefftext,label\n"a, ""b""",1\n\n"c\nd", 2\n', ["line 2", "line 4"]),
    ("a.tsv.gz", gzip.compress(b'text\tlabel\n"a, ""b"""\t1\n"c\nd"\t2\n', mtime=0), ["line 2", "line 3"]),
    ("a.jsonl", '{"text": "a, \\"b\\"", "label": 1}\n\n{"label": 2.0, "text": "c\\nd", "more": [1]}\n', ["line 1", "line 3"]),
])  # fmt: skip
def test_rows_of_text_with_their_lines(write, name, content, lines):
    path = write(content, name)
    table = read_text_table(path)
    assert table.names == ("text", "label")
    for _ in range(2):  # each iteration reads anew
        assert list(table) == [(f"{path}, {line}", row) for line, row in zip(lines, ROWS, strict=True)]


def test_parquet_as_text(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"text": ["x", None], "label": [1, 2], "score": [0.5, 1.0]}).write_parquet(path)
    assert [row for _, row in read_text_table(path)] == [
        {"text": "x", "label": "1", "score": "0.5"}, {"text": "", "label": "2", "score": "1"}
    ]  # fmt: skip


@pytest.mark.skipif(importlib.util.find_spec("fastexcel") is None, reason="needs fastexcel")
def test_the_only_sheet_of_a_workbook(write):
    path = write(
        xlsx(
            {
                "Data": [
                    ["day", "load", "note"],
                    ["@2024-01-01T00:00:00", 1.5, "x & y"],
                    ["@2024-01-02T00:00:00", 2, None],
                ]
            }
        ),
        "a.xlsx",
    )
    table = read_text_table(path)
    assert list(table) == [
        (f"{path}, row 2", {"day": "2024-01-01", "load": "1.5", "note": "x & y"}),
        (f"{path}, row 3", {"day": "2024-01-02", "load": "2", "note": ""}),
    ]
    with pytest.raises(DataError, match="has sheets A, B. Expected one"):
        read_text_table(write(xlsx({"A": [["a"], [1]], "B": [["b"]]}), "b.xlsx"))
    with pytest.raises(DataError, match="c.xlsx: cannot be read as Excel"):
        read_text_table(write("garbage", "c.xlsx"))


def test_excel_without_its_library_is_refused_with_what_to_install(write, monkeypatch):
    monkeypatch.setattr(delimited, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'seqkit\[excel\]'"):
        read_text_table(write(b"PK", "a.xlsx"))


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.csv", "", "FILE: is empty. Expected a header line"),
    ("a.csv", "a,b,a\n", "FILE: column 'a' is there twice. Expected one each"),
    ("a.csv", "a,b\n1,2\n1\n", "FILE, line 3: 1 values, expected 2 as in the header"),
    ("a.csv", "a;b\n1;2\n1;2;3\n", "FILE, line 3: 3 values, expected 2 as in the header; a semicolon inside a cell needs quotes"),
    ("a.csv", 'a,b\n1,"x\n2,y\n3,z\n', 'FILE, line 2: a quote that opens here is never closed. Write " inside a quoted cell as ""'),
    ("a.csv", 'a,b\n1,2\n"x" y,2\n', 'FILE, line 3: text after a closing quote. Quote the whole cell, and write " inside it as ""'),
    ("a.csv", b"a,b\n1,2\n1,\xe9\n", "FILE, line 3: is not UTF-8. Save the file as UTF-8"),
    ("a.csv", b"a,b\n1,2\n1,\0\n", "FILE, line 3: holds NUL bytes, so it is no UTF-8 text"),
    ("a.csv", "a,b\n".encode("utf-16"), "FILE: is UTF-16 text; save it as UTF-8. Expected a CSV file"),
    ("a.csv", "a,b\n".encode("utf-16-le"), "FILE, line 1: holds NUL bytes, so it is no UTF-8 text. Expected a CSV file"),
    ("a.csv", '[{"a": 1}, {"a": 2}]', "FILE: is JSON. Expected a CSV file, or of texts one with an object per line, named .jsonl"),
    ("a.csv", '{"a": 1}\n', "FILE: is JSON. Expected a CSV file, or of texts one with an object per line, named .jsonl"),
    ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9], "FILE: cannot be read (Compressed file ended before"),
    ("a.jsonl", "", "FILE: is empty. Expected a JSON object per line"),
    ("a.jsonl", '{"a": 1}\n{"a": \n', "FILE, line 2: is not JSON (Expecting value at column 7)"),
    ("a.jsonl", '{"a": 1}\n[1]\n', 'FILE, line 2: holds [1]. Expected one object {"name": value} per line'),
    ("a.json", '[{"a": 1}]', "FILE: is JSON. Expected a CSV file, or of texts one with an object per line, named .jsonl"),
    ("a.jsonl", b'{"a": 1}\n\n{"a": "\xe9"}\n', "FILE, line 3: is not UTF-8. Save the file as UTF-8"),
    ("a.parquet", "garbage", "FILE: cannot be read as Parquet: "),
])  # fmt: skip
def test_refusals_name_the_line(write, name, content, message):
    path = write(content, name)
    with pytest.raises(DataError) as caught:
        list(read_text_table(path))
    assert str(caught.value).replace(str(path), "FILE").startswith(message)


def test_a_column_that_is_not_there(write):
    table = read_text_table(write("text,label\n"))
    table.require("text", None)
    with pytest.raises(DataError, match="no column 'txt'. Did you mean 'text'. Columns: text, label"):
        table.require("txt")


def test_the_first_bad_line_is_numbered(write):
    path = write(b'a,b\n1,"2,3"\n1,2,3\n\xff\n')
    assert first_bad_line(path, ",") == (3, "3 cells, the header has 2; a comma inside a cell needs quotes")
    assert first_bad_line(write(b"a;b\n1;2\n\xff\n"), ";") == (3, "is not UTF-8. Save the file as UTF-8")
    assert first_bad_line(write(b"a,b\n1,2\n"), ",") is None

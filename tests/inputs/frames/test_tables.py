import gzip
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seqkit.errors import DataError
from seqkit.inputs.frames.tables import Notation, fill, read_table, without_repeats


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to_file


def refusal(path, time_column=None, wanted=(), how=None):
    def use():
        table = read_table(path, time_column, wanted)
        fill(table, how)

    with pytest.raises(DataError) as caught:
        use()
    return str(caught.value).replace(str(path), "FILE")


HOURS = "time,x\n2016-07-01 00:00,1\n2016-07-01 01:00,2\n2016-07-01 02:00,3\n"


# --- reading


def test_a_name_may_have_two_lines(write):
    table = read_table(write('time,"load\r\n(MW)"\r\n2016-07-01,1\r\n2016-07-02,2\r\n'), "time")
    assert table.names == ("load\r\n(MW)",)
    assert table.values_RN.tolist() == [[1], [2]]


def test_reads_the_numbers_of_a_csv_file_and_leaves_text_out(write):
    table = read_table(write("time,a,note,b\n2016-07-01, 1 ,x,1e3\n2016-07-02,-2.5,y,+4\n\n\n"), "time")
    assert table.names == ("a", "b")
    assert table.text == ("note",)
    assert table.values_RN.tolist() == [[1, 1000], [-2.5, 4]]
    assert table.line_R.tolist() == [2, 3]


def test_reads_gzipped_csv(write):
    assert read_table(write(gzip.compress(b"a,b\n1,2\n"), "a.csv.gz"), None).values_RN.tolist() == [[1, 2]]


def test_reads_parquet_with_its_own_types(tmp_path):
    path = tmp_path / "a.parquet"
    hours = [datetime(2016, 7, 1, hour) for hour in range(3)]
    pl.DataFrame({"when": hours, "n": [1, None, 3], "x": [0.5, float("nan"), 1.5], "s": ["a", "b", "c"]}).write_parquet(
        path
    )
    table = read_table(path, "when")
    assert table.names == ("n", "x")
    assert table.text == ("s",)
    assert np.isnan(table.values_RN).tolist() == [[False, False], [True, True], [False, False]]
    assert table.times.distance(table.times.step) == "1:00:00"


def test_wanted_columns_come_in_the_order_of_the_file(write):
    table = read_table(write("a,note,b,c\n1,x,2,3\n"), None, ["c", "a"], others=False)
    assert table.names == ("a", "c")
    assert table.text == ()


@pytest.mark.parametrize("cell", ["", "NA", "nan", "NULL", "None"])
def test_these_cells_are_missing_values(write, cell):
    assert np.isnan(read_table(write(f"a,b\n{cell},1\n2,1\n"), None, ["a", "b"]).values_RN[0, 0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "FILE: is empty. Expected a header line and one line a time step"),
        ("a,b\n", "FILE: has no rows below its header. Expected one row a time step"),
        ("a,b\n\n\n", "FILE: has no rows below its header. Expected one row a time step"),
        ("a,b\n1,2\n3,4,5\n", "FILE, line 3: 3 cells, the header has 2; a comma inside a cell needs quotes"),
        (b"a,b\n1,2\n3,\xff\n", "FILE, line 3: is not UTF-8. Save the file as UTF-8"),
        ("a,b\n1,2\n3,x\n", "FILE, line 3, column 'b': 'x' is not a number"),
        ("a,b\n1,inf\n", "FILE, line 2, column 'b': inf is not a finite number"),
        ("a,a\n1,2\n", "FILE: two columns are named 'a'. Expected one each"),
        (",a\n0,2\n", "FILE: column 1 has no name in the header. Name it there, or list the columns to read in "
                      "data.inputs and data.targets"),
        ("note\nx\n", "FILE: no column of numbers. Columns: note"),
        ("p,q\nx,y\n", "FILE: no column of numbers. Columns: p, q"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused(write, content, message):
    assert refusal(write(content)) == message


def test_parquet_that_is_none_is_refused(write):
    message = refusal(write("garbage, not Parquet", "a.parquet"))
    assert message.startswith("FILE: cannot be read as Parquet: ")
    assert "\n" not in message


def test_an_unknown_column_is_refused_with_the_nearest(write):
    path = write("date,OT\n2016-07-01,1\n")
    assert refusal(path, wanted=["OTT"]) == "FILE: no column 'OTT'. Did you mean 'OT'? Columns: date, OT"
    assert refusal(path, "dat") == "FILE: no column 'dat'. Did you mean 'date'? Columns: date, OT"


def test_a_wanted_column_of_text_is_refused(write, tmp_path):
    assert refusal(write("a,b\n1,x\n"), wanted=["a", "b"]) == "FILE, line 2, column 'b': 'x' is not a number"
    path = tmp_path / "b.parquet"
    pl.DataFrame({"d": [date(2016, 7, 1)]}).write_parquet(path)
    assert refusal(path, wanted=["d"]) == "FILE: column 'd' holds Date. Expected numbers"


def test_parquet_rows_are_counted_from_one(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"x": ["1", "y"]}).write_parquet(path)
    assert refusal(path) == "FILE, row 2, column 'x': 'y' is not a number"


# --- times


@pytest.mark.parametrize(
    ("stamps", "step", "season", "rate"),
    [
        (["2016-07-01T00:00:00Z", "2016-07-01T00:30:00Z"], "0:30:00", 48, 1 / 1800),
        (["2016-07-01 00:00", "2016-07-01 01:00"], "1:00:00", 24, 1 / 3600),
        (["2016-07-01", "2016-07-02"], "1 day, 0:00:00", 7, 1 / 86400),
        (["2016-07-01", "2016-07-08"], "7 days, 0:00:00", None, 1 / 604800),
        (["2016-07-01 00:00", "2016-07-01 07:00"], "7:00:00", None, 1 / 25200),
        (["2016-01-01", "2016-02-01", "2016-03-01"], "1 month", 12, None),
        (["2016-01-31", "2016-02-29", "2016-03-31"], "1 month", 12, None),
        (["2016-01-01", "2016-04-01", "2016-07-01", "2016-10-01"], "3 months", 4, None),
        (["2016-01", "2016-02", "2016-03", "2016-04"], "1 month", 12, None),
        (["2016-Q1", "2016-Q2", "2016-Q3", "2016-Q4"], "3 months", 4, None),
        (["2016Q3", "2016Q4", "2017Q1", "2017Q2"], "3 months", 4, None),
        (["1", "2", "3"], "1", None, None),
    ],
)
def test_step_season_and_rate(write, stamps, step, season, rate):
    times = read_table(write("t,x\n" + "".join(f"{stamp},1\n" for stamp in stamps)), "t").times
    assert times.distance(times.step) == step
    assert times.season == season
    assert times.rate == (None if rate is None else pytest.approx(rate))


T = "column 't'"
ISO = "an ISO 8601 time, as in the first row"
UNEVEN = "after the row before, where most rows are 1:00:00 apart. Expected even steps"
REPEATS = "data.repeats=first keeps the first of such rows"
FILL = "data.missing=forward or data.missing=interpolate puts in the rows left out"
EVEN = "without data.time_column the rows count as even"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["noon", "2016"], f"2, {T}: 'noon' is not a time. Expected a time such as 2016-07-01 or 2016-07-01 13:30, or a "
                           "whole number; data.date_format says how others are written, as %d/%m/%Y"),
        (["01/07/2016", "02/07/2016"], f"2, {T}: '01/07/2016' may be read as data.date_format=%d/%m/%Y (2016-07-01) or "
                                       "data.date_format=%m/%d/%Y (2016-01-07), and so may all rows. Say which"),
        (["13/01/2024", "01/13/2024"], f"3, {T}: '01/13/2024' is not a time. Expected one written as %d/%m/%Y"),
        (["31.01.2024", "31.02.2024"], f"3, {T}: '31.02.2024' is not a time. Expected one written as %d.%m.%Y"),
        (["31.01.2024", ""], f"3, {T}: no time. Expected one written as %d.%m.%Y"),
        (["2016-07-01", "2016-07-32"], f"3, {T}: '2016-07-32' is not a time. Expected {ISO}"),
        (["2016-07-01", ""], f"3, {T}: no time. Expected {ISO}"),
        (["1", "2.5"], f"3, {T}: '2.5' is not a time. Expected a whole number, as in the first row"),
        (["2016-07-01", "2016-07-03", "2016-07-02"],
         f"4, {T}: an earlier time than the row before. Expected rising times"),
        (["2016-07-01", "2016-07-02", "2016-07-02"],
         f"4, {T}: the same time as the row before. Expected rising times; {REPEATS}"),
        (["2016-07-01 00:00", "2016-07-01 01:00", "2016-07-01 02:00", "2016-07-01 04:00"],
         f"5, {T}: 2:00:00 {UNEVEN}; {FILL}; {EVEN}"),
        (["2016-07-01 00:00", "2016-07-01 01:00", "2016-07-01 02:00", "2016-07-01 02:30"],
         f"5, {T}: 0:30:00 {UNEVEN}; {EVEN}"),
    ],
)  # fmt: skip
def test_times_that_cannot_be_used_are_refused(write, rows, message):
    content = "t,x\n" + "".join(f"{stamp},1\n" for stamp in rows)
    assert refusal(write(content), "t", how="refuse") == f"FILE, line {message}"


def test_a_step_that_is_no_multiple_is_refused_even_when_filling(write):
    content = HOURS + "2016-07-01 03:30,4\n"
    assert refusal(write(content), "time", how="forward") == (f"FILE, line 5, column 'time': 1:30:00 {UNEVEN}; {EVEN}")


def test_a_month_left_out_is_refused_even_when_filling(write):
    rows = "".join(f"2016-{month:02}-01,1\n" for month in (1, 2, 3, 5))
    assert refusal(write("t,x\n" + rows), "t", how="forward") == (
        f"FILE, line 5, {T}: 2 months {UNEVEN.replace('1:00:00', '1 month')}; {EVEN}"
    )


# --- filling


def test_a_missing_value_is_refused_with_its_place_and_their_number(write):
    tail = "Expected a number; data.missing=forward or data.missing=interpolate fills what is missing"
    assert (
        refusal(write("a,b\n1,2\n1,\n"), how="refuse") == f"FILE, line 3, column 'b': no value (the only one). {tail}"
    )
    assert (
        refusal(write("a,b\n,2\n1,\n"), how="refuse") == f"FILE, line 2, column 'a': no value (the first of 2). {tail}"
    )


@pytest.mark.parametrize(("how", "expected"), [("forward", [1, 1, 1, 4]), ("interpolate", [1, 2, 3, 4])])
def test_fills_missing_values_as_told(write, how, expected):
    table, filled = fill(read_table(write("a,b\n1,0\n,0\n,0\n4,0\n"), None), how)
    assert table.values_RN[:, 0].tolist() == expected
    assert filled == 2


@pytest.mark.parametrize(("how", "expected"), [("forward", [1, 2, 3, 3, 3, 6]), ("interpolate", [1, 2, 3, 4, 5, 6])])
def test_puts_in_rows_left_out(write, how, expected):
    table, filled = fill(read_table(write(HOURS + "2016-07-01 05:00,6\n"), "time"), how)
    assert table.values_RN[:, 0].tolist() == expected
    assert filled == 2
    assert table.line_R.tolist() == [2, 3, 4, 0, 0, 5]
    assert np.diff(table.times.at_R).tolist() == [3_600_000_000] * 5


@pytest.mark.parametrize(
    ("content", "how", "message"),
    [
        ("a\nnan\n1\n", "forward", "FILE, line 2, column 'a': no value, and none before it that data.missing=forward "
                                   "could fill it from. Leave such rows out of the file"),
        ("a,b\n1,0\n,0\n", "interpolate", "FILE, line 3, column 'a': no value, and none after it "
                                          "that data.missing=interpolate could fill it from. "
                                          "Leave such rows out of the file"),
    ],
)  # fmt: skip
def test_ends_that_cannot_be_filled_are_refused(write, content, how, message):
    assert refusal(write(content), how=how) == message


def test_forward_fills_the_last_row(write):
    assert fill(read_table(write("a,b\n1,0\n,0\n"), None), "forward")[0].values_RN[:, 0].tolist() == [1, 1]


def test_the_first_of_rows_with_one_time_is_kept(write):
    content = "time,x\n2016-07-01 00:00,1\n2016-07-01 01:00,2\n2016-07-01 01:00,9\n2016-07-01 02:00,3\n"
    table, dropped = without_repeats(read_table(write(content), "time"))
    assert table.values_RN[:, 0].tolist() == [1, 2, 3]
    assert table.line_R.tolist() == [2, 3, 5]
    assert dropped == 1


@pytest.mark.parametrize(("text", "line"), [
    ("date,a, a\n2020-01-01,1,2\n", "t.csv: two columns are named 'a'. Expected one each"),
    ("a\n1\n2\n", None),
])  # fmt: skip
def test_repeated_names(text, line):
    path = Path("t.csv")
    path.write_text(text)
    if line is None:
        assert read_table(path, None).names == ("a",)
        return
    with pytest.raises(DataError) as refusal:
        read_table(path, None)
    assert str(refusal.value) == line


def test_a_mistyped_year_does_not_fill_a_century():
    path = Path("t.csv")
    path.write_text("date,a\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n2120-01-04,4\n")
    with pytest.raises(
        DataError, match="line 5, column 'date': 36525 days, 0:00:00 after the row before; filling would"
    ):
        fill(read_table(path, "date"), "forward")


# --- how cells are written


def read_as(path, **notation):
    return read_table(path, "t" if "t" in path.read_text().split("\n")[0] else None, notation=Notation(**notation))


@pytest.mark.parametrize(("content", "values", "words"), [
    ("a;b\n1,5;2\n2;3,25\n", [[1.5, 2], [2, 3.25]], "separated by semicolon, decimal comma"),
    ("a;b\n1.234,5;2\n1.000;3\n", [[1234.5, 2], [1000, 3]], "separated by semicolon, decimal comma"),
    ("a\tb\n1.5\t1,234,567\n2\t1,000\n", [[1.5, 1234567], [2, 1000]], "separated by tab, decimal point"),
    ("a|b\n1|2\n", [[1, 2]], "separated by pipe"),
    ("a;b\n1,234;2,5\n", [[1.234, 2.5]], "separated by semicolon, decimal comma"),  # 2,5 settles 1,234
    ("a,b\n1.234,2\n", [[1.234, 2]], "separated by comma, decimal point"),
    ("t;a\n03/04/2024;1\n13/04/2024;2\n", [[1], [2]], "separated by semicolon, times as %d/%m/%Y"),
])  # fmt: skip
def test_the_notation_is_found_and_said(write, content, values, words):
    table = read_as(write(content))
    assert table.values_RN.tolist() == values
    assert table.notation.words == words


@pytest.mark.parametrize(("content", "message"), [
    ("a;b\n1,234;2\n2,345;3\n", "line 2, column 'a': '1,234' may be 1234 or 1.234. Say data.decimal=point for 1234, data.decimal=comma for 1.234"),
    ("a;b\n1.234;2\n", "line 2, column 'a': '1.234' may be 1.234 or 1234. Say data.decimal=point for 1.234, data.decimal=comma for 1234"),
    ("a;b\n2,5;2\n3,5;1.234\n", "line 3, column 'b': '1.234' may be 1.234 or 1234"),
    ("a\tb\n2.5\t2\n3.5\t1,234\n", "line 3, column 'b': '1,234' may be 1234 or 1.234"),
    ("a;b\n2,5;2\n3,5;1.25\n", "decimal points and decimal commas are mixed, '2,5' in line 2 and '1.25' in line 3"),
])  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused(write, content, message):
    with pytest.raises(DataError) as caught:
        read_as(write(content))
    assert message in str(caught.value)


def test_what_is_given_settles_it(write):
    path = write("t;a\n03/04/2024;1,234\n04/04/2024;2,345\n")
    table = read_as(path, decimal="comma", date_format="%m/%d/%Y")
    assert table.values_RN[:, 0].tolist() == [1.234, 2.345]
    assert [str(np.datetime64(int(at), "us"))[:10] for at in table.times.moment_R] == ["2024-03-04", "2024-04-04"]
    assert read_as(path, decimal="point", date_format="%d/%m/%Y").values_RN[:, 0].tolist() == [1234, 2345]
    with pytest.raises(DataError, match="line 2, column 'a': '1,5' is not a number with a decimal point"):
        read_as(write("a;b\n1,5;2\n"), decimal="point")
    with pytest.raises(
        DataError, match="line 2, column 't': '2024-04-03' is not a time. Expected one written as %d.%m.%Y"
    ):
        read_as(write("t;a\n2024-04-03;1\n"), date_format="%d.%m.%Y")


def test_what_was_found_in_another_file_settles_only_what_is_open(write):
    found = {"separator": "semicolon", "decimal": "comma", "date_format": "%m/%d/%Y", "found": True}
    table = read_as(write("t;a\n03/04/2024;1,234\n"), **found)
    assert table.values_RN.tolist() == [[1.234]]
    assert str(np.datetime64(int(table.times.moment_R[0]), "us"))[:10] == "2024-03-04"
    other = read_as(write("t,a\n2024-03-04,1.25\n2024-03-05,2\n"), **found)
    assert other.values_RN.tolist() == [[1.25], [2]]
    assert other.notation.words == "separated by comma, decimal point"

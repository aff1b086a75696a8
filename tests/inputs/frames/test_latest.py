import numpy as np
import pytest

from seqkit.errors import ConfigError, DataError
from seqkit.inputs.frames.latest import following, texts
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.frames.tables import read_table

AFTER = {
    "hours": (["2024-02-28 22:00", "2024-02-28 23:00"], ["2024-02-29 00:00", "2024-02-29 01:00"]),
    "days": (["2023-12-30", "2023-12-31"], ["2024-01-01", "2024-01-02"]),
    "days with a time of day": (["2023-12-30 06:00", "2023-12-31 06:00"], ["2024-01-01 06:00", "2024-01-02 06:00"]),
    "seconds": (["2024-01-01T00:00:58", "2024-01-01T00:00:59"], ["2024-01-01 00:01:00", "2024-01-01 00:01:01"]),
    "a zone": (["2024-01-01 00:00+02:00", "2024-01-01 01:00+02:00"], ["2024-01-01 02:00+02:00", "2024-01-01 03:00+02:00"]),
    "UTC": (["2024-01-01T00:00Z", "2024-01-01T01:00Z"], ["2024-01-01 02:00+00:00", "2024-01-01 03:00+00:00"]),
    "a zone of which midnight is none in UTC": (["2024-01-01 00:00-0530", "2024-01-02 00:00-0530"], ["2024-01-03 00:00-05:30", "2024-01-04 00:00-05:30"]),
    "months": (["2023-10-01", "2023-11-01", "2023-12-01"], ["2024-01-01", "2024-02-01"]),
    "ends of months": (["2023-10-31", "2023-11-30", "2023-12-31"], ["2024-01-31", "2024-02-29"]),
    "quarters": (["2023-04-01", "2023-07-01", "2023-10-01"], ["2024-01-01", "2024-04-01"]),
    "years": (["2022-01-01", "2023-01-01", "2024-01-01", "2025-01-01"], ["2026-01-01", "2027-01-01"]),
    "numbers": (["5", "15"], ["25", "35"]),
}  # fmt: skip


def table(tmp_path, times):
    path = tmp_path / "a.csv"
    path.write_text("time,x\n" + "".join(f"{time},{row}\n" for row, time in enumerate(times)))
    return path


@pytest.mark.parametrize("name", AFTER)
def test_times_go_on_in_even_steps(name, tmp_path):
    given, after = AFTER[name]
    times = read_table(table(tmp_path, given), "time").times
    assert texts(following(times, 2, "a.csv"), times) == after


def test_one_row_has_no_step(tmp_path):
    path = table(tmp_path, ["2024-01-01"])
    with pytest.raises(DataError, match="a.csv: has one row, so the step between its times is not known"):
        following(read_table(path, "time").times, 2, "a.csv")


def test_the_last_rows_come_with_the_times_after_them(tmp_path):
    path = table(tmp_path, [f"2024-01-01 {hour:02d}:00" for hour in range(9)])
    [end] = Frames(("x",), (0.0,), (1.0,), 1 / 3600, "time").latest(path, 3, 2)
    assert end.inputs.tolist() == [[6.0], [7.0], [8.0]]
    assert end.about == {"times": ["2024-01-01 09:00", "2024-01-01 10:00"]}
    [end] = Frames(("x",), (0.0,), (1.0,)).latest(path, 3, 2)  # of which no time is known
    assert end.about == {}


def test_months_are_seen_in_the_whole_file_where_few_rows_are_read(tmp_path):
    path = table(tmp_path, ["2023-10-01", "2023-11-01", "2023-12-01", "2024-01-01"])
    [end] = Frames(("x",), (0.0,), (1.0,), None, "time").latest(path, 1, 2)
    assert end.about == {"times": ["2024-02-01", "2024-03-01"]}


def test_another_step_than_that_of_the_training_data_is_refused(tmp_path):
    path = table(tmp_path, [f"2024-01-01 00:{minute:02d}" for minute in range(9)])
    with pytest.raises(DataError) as refusal:
        Frames(("x",), (0.0,), (1.0,), 1 / 3600, "time").latest(path, 3, 2)
    assert str(refusal.value).endswith(
        "rows are 0:01:00 apart, those of the training data 1:00:00. Expected the same step"
    )


@pytest.mark.parametrize(
    ("step", "given", "after"),
    [
        ("1 month", ["2024-07-01", "2024-08-01", "2024-09-01"], ["2024-10-01", "2024-11-01"]),
        ("1 month", ["2024-07-31", "2024-08-31"], ["2024-09-30", "2024-10-31"]),
        ("12 months", ["2021-01-01", "2022-01-01", "2023-01-01"], ["2024-01-01", "2025-01-01"]),
    ],
)
def test_months_of_equal_length_are_months_where_the_training_data_had_months(step, given, after, tmp_path):
    frames = Frames(("x",), (0.0,), (1.0,), None, "time", step=step)
    [end] = frames.latest(table(tmp_path, given), 1, 2)
    assert end.about == {"times": after}
    days = table(tmp_path, ["2024-07-01", "2024-07-02", "2024-07-03"])
    with pytest.raises(DataError, match=f"rows are 1 day, 0:00:00 apart, those of the training data {step}"):
        frames.latest(days, 1, 2)


def test_columns_known_ahead_are_refused_where_none_are_read(tmp_path):
    path = table(tmp_path, np.datetime_as_string(np.arange("2024-01", "2024-03", dtype="datetime64[D]")))
    with pytest.raises(ConfigError, match="future.csv: the model reads no columns that are known ahead"):
        Frames(("x",), (0.0,), (1.0,)).latest(path, 3, 2, "future.csv")


@pytest.mark.parametrize("missing", ["refuse", "forward"])
def test_a_new_series_is_scaled_by_all_rows_that_are_given_of_it(missing, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("shop,x\n" + "".join(f"new,{x}\n" for x in ("0", "", "8", "4", "4")))
    frames = Frames(("x",), (0.0,), (1.0,), missing=missing, series="shop").scaled_by_series(())
    [end] = frames.latest(path, 2, 1)
    assert end.inputs.tolist() == [pytest.approx([4.0, 4.0, 8**0.5])] * 2

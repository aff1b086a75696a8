from pathlib import Path

import numpy as np
import pytest

from seqkit.data.folds import folded
from seqkit.data.series_table import SeriesTable
from seqkit.errors import ConfigError, DataError
from tests.bad_files import hourly

ROWS = 60


def single(**options):
    Path("t.csv").write_text(hourly(rows=ROWS))
    data = SeriesTable(path="t.csv", time_column="date", lookback=4, horizon=3, **options)
    data.setup()
    return data


def several(rows, **options):
    """Return a table of series that start one day after another and have these numbers of hours; values count up."""
    lines = ["shop,date,sales"]
    for number, count in enumerate(rows):
        for row in range(count):
            day, hour = divmod(row + 24 * number, 24)
            lines.append(f"{'abc'[number]},2024-01-{1 + day:02d} {hour:02d}:00,{1000 * number + row}")
    Path("t.csv").write_text("\n".join(lines) + "\n")
    data = SeriesTable(
        path="t.csv", series="shop", time_column="date", targets=["sales"], lookback=4, horizon=3, **options
    )
    data.setup()
    return data


def targets(data, split):
    """Return the first and the last value that is predicted, of each series that has a window of a part."""
    part, found = data.part(split), {}
    for place in range(len(part)):
        _, ahead, _, series = part[place]
        found.setdefault(series, []).extend(ahead[:, 0].tolist())
    return {series: (min(values), max(values)) for series, values in found.items()}


@pytest.mark.parametrize("eval_stride", [1, 2, 4])
def test_windows_between_the_first_origin_and_another_lie_as_far_apart_as_in_an_evaluation(eval_stride):
    first = single(fold=[0, 4], split=[30, 12, 18], eval_stride=eval_stride)
    assert len(first.earlier) == 0
    for number in range(4):
        other = first.in_fold(number)
        origin = other.origins[0].row
        due = [row for row in range(42, origin) if (origin - row) % eval_stride == 0]
        assert list(other.earlier.starts[0]) == due


SPLITS = ([0.5, 0.2, 0.3], [30, 12, 18], ["2024-01-02 06:00", "2024-01-02 18:00"])


@pytest.mark.parametrize("split", SPLITS, ids=("fractions", "rows", "dates"))
def test_origins_lie_evenly_over_the_test_part_however_it_is_given(split):
    rows = []
    for number in range(4):
        data = single(split=split, fold=[number, 4])
        assert len(data.part("test")) == 1
        assert data.part("valid").starts[0][0] == data.origins[0].row - 12  # its length stays
        assert data.part("valid").starts[0][-1] + 3 == data.origins[0].row  # and it ends where the forecast starts
        assert data.part("train").starts[0][-1] + 3 == data.part("valid").starts[0][0]
        assert data.part("train").starts[0][0] == 4
        rows.append(data.origins[0].row)
    assert rows == [42, 47, 52, 57]  # of 60 rows, the last three for the last forecast
    assert data.origins[0].time == "2024-01-03 09:00"


def test_the_first_fold_trains_on_what_a_training_without_folds_does():
    whole, first = single(split=[30, 12, 18]), single(split=[30, 12, 18], fold=[0, 5])
    assert first.spec == whole.spec
    for split in ("train", "valid"):
        assert first.part(split).starts == whole.part(split).starts


def test_a_rolling_origin_keeps_the_last_rows_alone():
    data = single(split=[30, 12, 18], fold=[1, 4], train_rows=20)
    assert data.part("train").starts[0] == range(35 - 20 + 4, 35 - 3 + 1)  # the training part ends at row 47 - 12
    load = [float(line.split(",")[1]) for line in hourly(rows=ROWS).splitlines()[16:36]]
    assert data.spec.task.mean[0] == pytest.approx(sum(load) / 20)


@pytest.mark.parametrize("fold", [[0], [2, 2], [-1, 3], [0, 1, 2]])
def test_a_fold_that_is_none_is_refused(fold):
    with pytest.raises(ConfigError, match=r"data.fold=\[.*\]: expected the number of the fold, from 0"):
        single(fold=fold)


def test_more_origins_than_places_are_refused():
    with pytest.raises(DataError, match="test part has 12 rows, so that .* can start at 10 of them. 11 origins need"):
        single(fold=[0, 11])
    single(fold=[9, 10])


def test_each_series_has_origins_of_its_own_by_fractions():
    found = [targets(several((60, 40), split=[0.5, 0.2, 0.3], fold=[number, 2]), "test") for number in range(2)]
    assert found == [{0: (42, 44), 1: (1028, 1030)}, {0: (57, 59), 1: (1037, 1039)}]
    assert targets(several((60, 40), split=[0.5, 0.2, 0.3], fold=[1, 2]), "valid") == {0: (45, 56), 1: (1029, 1036)}


def test_all_series_have_the_same_origins_by_dates():
    split = ["2024-01-03 00:00", "2024-01-03 12:00"]
    for number, hour in ((0, 60), (1, 66), (2, 72)):  # the longest ends after 75 hours
        data = several((75, 40, 27), split=split, fold=[number, 3])
        # b has rows from hour 24 to 64, c from 48 to 75
        expected = {
            0: (hour, hour + 2),
            1: (1000 + hour - 24, 1000 + hour - 22),
            2: (2000 + hour - 48, 2000 + hour - 46),
        }
        if hour > 61:
            del expected[1]
        assert targets(data, "test") == expected
        assert {origin.time for origin in data.origins} == {f"2024-01-0{1 + hour // 24} {hour % 24:02d}:00"}
        assert [origin.series for origin in data.origins] == ["abc"[series] for series in expected]
        for series, (_, last) in targets(data, "train").items():
            assert last - 1000 * series + 24 * series < hour - 12  # the validation part is 12 hours everywhere


def test_a_series_that_starts_after_the_split_has_the_origin_of_the_others():
    moments = [np.arange(20), np.arange(15, 25)]  # the parts start at 10 and 14, and there are rows up to 24
    edges = [[0, 10, 14, 20], [0, 0, 0, 10]]
    assert folded(edges, [0, 4], None, 2, "t.csv", moments) == [[0, 10, 14, 16], [0, 0, 0, 2]]
    assert folded(edges, [1, 4], None, 2, "t.csv", moments) == [[0, 13, 17, 19], [0, 0, 2, 4]]
    assert folded(edges, [3, 4], None, 2, "t.csv", moments) == [[0, 19, 20, 20], [0, 4, 8, 10]]


def test_the_last_origin_has_a_whole_horizon_of_some_series_behind_it():
    days = np.arange(0, 30 * 7, 7)
    moments = [days + weekday for weekday in range(4)]  # weekly series, each on another day
    edges = [[0, 10, 14, 30]] * 4
    assert folded(edges, [2, 3], None, 3, "t.csv", moments) == [[0, 24, 28, 30]] * 3 + [[0, 23, 27, 30]]


def late(fold, **options):
    """Return a table of series a, b and c of which b starts after the training part of the first fold."""
    lines = ["shop,date,kind,word,sales"]
    for shop, first in (("a", 0), ("b", 40), ("c", 0)):
        for row in range(first, 100):
            word = "late" if row > 60 else "early"
            lines.append(f"{shop},2024-01-{1 + row // 24:02d} {row % 24:02d}:00,{shop.upper()},{word},{row * row}")
    Path("t.csv").write_text("\n".join(lines) + "\n")
    data = SeriesTable(
        path="t.csv", series="shop", time_column="date", targets=["sales"], lookback=4, horizon=3, fold=fold,
        categories=["kind"], events=["word"], split=["2024-01-02 12:00", "2024-01-03 00:00"], **options,
    )  # fmt: skip
    data.setup()
    return data


@pytest.mark.parametrize("scaling", ["series", "standard"])
def test_another_fold_is_read_as_the_trained_one(scaling):
    trained, anew = late([0, 3], scaling=scaling), late([2, 3], scaling=scaling)
    asked = trained.in_fold(2)
    assert asked.origins == anew.origins != trained.origins
    assert asked.spec == trained.spec != anew.spec
    for split in ("train", "valid"):
        assert asked.part(split) is trained.part(split)
    assert [asked.part("test")[0][place].shape for place in (0, 1)] == [(4, asked.part("test")[0][0].shape[1]), (3, 1)]
    # What two windows both read is read alike, whichever fold they are in.
    whole = trained.part("train").values_RI
    for place, origin in enumerate(asked.origins):
        assert asked.part("test")[place][0].equal(whole[origin.row - 4 : origin.row])
    assert trained.fold == [0, 3]


@pytest.mark.parametrize("gap", ["empty", "left out"])
def test_a_gap_before_a_part_or_an_origin_is_not_filled_from_behind_it(gap):
    lines = hourly(rows=ROWS).splitlines()
    for row in (49, 48, 46, 42, 30):  # numbers of lines, in this order as they go
        time, _, heat = lines[row].split(",")
        if gap == "empty":
            lines[row] = f"{time},,{heat}"
        else:
            del lines[row]
    options = {"lookback": 4, "horizon": 3, "split": [30, 12, 18], "time_column": "date", "missing": "interpolate"}
    Path("t.csv").write_text("\n".join(lines) + "\n")

    def loads(data):
        """Return the column in the rows before those predicted first in the test part."""
        return data.part("test")[0][0][:, 0].tolist()

    truth = [float(line.split(",")[1]) for line in hourly(rows=ROWS).splitlines()[1:]]
    plain = SeriesTable(path="t.csv", **options)
    plain.setup()
    values = plain.part("train").values_RI[:, 0].tolist()
    for row, due in ((29, truth[28]), (41, truth[40]), (45, (truth[44] + truth[46]) / 2)):
        assert values[row] == pytest.approx(due, rel=1e-6)
    assert values[47] == pytest.approx(truth[46] + (truth[49] - truth[46]) / 3, rel=1e-6)
    trained = SeriesTable(path="t.csv", fold=[0, 3], **options)
    trained.setup()
    anew = SeriesTable(path="t.csv", fold=[1, 3], **options)
    anew.setup()
    asked = trained.in_fold(1)  # whose origin is row 49
    assert asked.origins[0].row == 49
    due = [(truth[44] + truth[46]) / 2, truth[46], truth[46], truth[46]]
    assert loads(asked) == loads(anew) == pytest.approx(due, rel=1e-6)
    last = asked.earlier[len(asked.earlier) - 1]
    assert last[0][-2:, 0].tolist() == pytest.approx([truth[46], truth[46]], rel=1e-6)
    assert trained.part("test").values_RI[47, 0] == pytest.approx(values[47])  # of the other fold they stay

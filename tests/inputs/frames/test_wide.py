from pathlib import Path

import numpy as np
import pytest

from seqkit.errors import DataError
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.frames.wide import read_wide

HEADER = "day,a,b,note\n"
ROWS = "2024-01-01,1,,x\n2024-01-02,,5,x\n2024-01-03,3,6,x\n2024-01-04,,7,x\n"


def read(tmp_path, text=HEADER + ROWS, **options):
    path = tmp_path / "wide.csv"
    path.write_text(text)
    return read_wide(path, "day", **{"missing": "interpolate", **options})


def test_each_column_is_a_series_from_its_first_value_to_its_last(tmp_path):
    table = read(tmp_path)
    assert [one.name for one in table.series] == ["a", "b"]
    assert [one.table.values_RN[:, 0].tolist() for one in table.series] == [[1, 2, 3], [5, 6, 7]]
    assert [one.table.line_R[0] for one in table.series] == [2, 3]
    assert table.series[0].table.names == ("value",)
    assert (table.filled, table.added, table.rows, table.text) == (1, 0, 4, ("note",))


def test_a_time_twice_counts_once(tmp_path):
    table = read(tmp_path, HEADER + "2024-01-01,0,0,x\n2024-01-01,1,1,x\n2024-01-02,2,2,x\n", repeats="first")
    assert [one.table.values_RN[:, 0].tolist() for one in table.series] == [[0, 2], [0, 2]]
    assert table.repeated == 1


def test_a_later_file_is_forecast_by_its_columns_with_what_is_known_for_all(tmp_path):
    read(tmp_path, "day,a,b,holiday\n2024-01-01,1,5,0\n2024-01-02,2,6,1\n2024-01-03,,7,0\n")
    (tmp_path / "known.csv").write_text("day,holiday\n2024-01-03,1\n2024-01-04,2\n2024-01-05,3\n")
    frames = Frames(
        ("value", "holiday"),
        (0.0,) * 2,
        (1.0,) * 2,
        1 / 86400,
        "day",
        series="series",
        wide=(),
        roles=("past", "known"),
    )
    first, second = frames.latest(tmp_path / "wide.csv", 2, 2, tmp_path / "known.csv")
    assert first.about == {"series": "a", "times": ["2024-01-03", "2024-01-04"]}
    assert first.inputs.tolist() == [[1, 0], [2, 1]]
    assert first.extras["known"].tolist() == [[1], [2]]
    assert second.about["times"] == ["2024-01-04", "2024-01-05"]
    assert np.array_equal(second.extras["known"].numpy(), [[2], [3]])


def test_a_mask_follows_the_values_and_what_is_known():
    Path("wide.csv").write_text("day,a,b,hour\n1,1,5,0\n2,,6,1\n3,3,7,2\n")
    table = read_wide(Path("wide.csv"), "day", (), ["hour"], "mask")
    first, second = (one.table for one in table.series)
    assert first.names == second.names == ("value", "hour", "value observed", "hour observed")
    assert first.values_RN[:, [0, 2]].tolist() == [[1, 1], [1, 0], [3, 1]]
    assert second.values_RN[:, 2].tolist() == [1, 1, 1]


def test_a_table_without_series_is_refused(tmp_path):
    with pytest.raises(DataError, match="no column of numbers beside a, b. Expected one per series"):
        read(tmp_path, shared=["a", "b"])

from hashlib import sha256
from itertools import chain

import pytest
import torch

from seqkit.data.series import SAMPLE, SeriesCsv, sea_temperature
from seqkit.errors import ConfigError, DataError
from seqkit.inputs.frames.spec import Frames
from seqkit.registry import build
from seqkit.tasks.forecast.spec import Series


@pytest.fixture
def ramp(tmp_path):
    """Return a file of 20 hours: x counts up from 0, y is constant, note is text."""
    path = tmp_path / "ramp.csv"
    rows = [f"2016-07-{1 + hour // 12:02}T{hour % 12:02}:00,{hour},5,n" for hour in range(12)]
    rows += [f"2016-07-01T{hour}:00,{hour},5,n" for hour in range(12, 20)]
    path.write_text("\n".join(["time,x,y,note", *rows]) + "\n")
    return str(path)


def made(**options):
    data = SeriesCsv(**options)
    data.setup()
    return data


def windows(data, split):
    part = data.part(split)
    return [(inputs[:, 0].tolist(), targets[:, 0].tolist()) for inputs, targets in (part[i] for i in range(len(part)))]


def refusal(error, **options):
    with pytest.raises(error) as caught:
        made(**options)
    return str(caught.value).replace(str(options.get("path")), "FILE")


# --- windows and parts


def test_every_window_of_each_part_with_the_evaluation_parts_reaching_back(ramp):
    data = made(path=ramp, lookback=3, horizon=2, split=[10, 5, 5])
    assert windows(data, "train") == [([i, i + 1, i + 2], [i + 3, i + 4]) for i in range(6)]  # last target row: 9
    assert windows(data, "valid") == [([i - 3, i - 2, i - 1], [i, i + 1]) for i in range(10, 14)]
    assert windows(data, "test") == [([i - 3, i - 2, i - 1], [i, i + 1]) for i in range(15, 19)]


def test_stride_thins_out_the_training_windows_only(ramp):
    data = made(path=ramp, lookback=3, horizon=2, split=[10, 5, 5], stride=2)
    assert [targets[0] for _, targets in windows(data, "train")] == [3, 5, 7]
    assert len(data.part("test")) == 4


def test_mirror_adds_the_training_windows_upside_down(ramp):
    data = made(path=ramp, lookback=3, horizon=2, split=[10, 5, 5], mirror=True)
    train = windows(data, "train")
    assert train[:6] == [([i, i + 1, i + 2], [i + 3, i + 4]) for i in range(6)]
    assert train[6:] == [([i + 4, i + 3, i + 2], [i + 1, i]) for i in range(6)]
    assert len(data.part("test")) == 4


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ([0.5, 0.25, 0.25], (10, 5, 5)),
        ([0.7, 0.1, 0.2], (14, 2, 4)),
        ([0.5, 0.2, 0.1], (10, 4, 2)),
        ([10, 5, 4], (10, 5, 4)),
        (["2016-07-01T10:00", "2016-07-01T15:00"], (10, 5, 5)),
    ],
)
def test_splits_by_fractions_row_counts_and_dates(ramp, split, rows):
    data = made(path=ramp, time_column="time", lookback=1, horizon=1, split=split)
    assert tuple(len(data.part(part)) for part in ("train", "valid", "test")) == (rows[0] - 1, *rows[1:])


def test_dates_split_monthly_rows(tmp_path):
    path = tmp_path / "months.csv"
    path.write_text("t,x\n" + "".join(f"2016-{month:02}-01,{month}\n" for month in range(1, 13)))
    data = made(path=str(path), time_column="t", lookback=1, horizon=1, split=["2016-07-01", "2016-10-01"])
    assert [data.part(part)[0][1].item() for part in ("train", "valid", "test")] == [2, 7, 10]


def test_scaling_is_that_of_the_training_part_only(ramp):
    data = made(path=ramp, lookback=1, horizon=1, split=[4, 8, 8])
    assert data.spec.inputs.mean == (1.5, 5)  # of 0, 1, 2, 3
    assert data.spec.inputs.scale == (pytest.approx(1.25**0.5), 1)  # population deviation; 1 where constant
    assert data.spec.task.scale == data.spec.inputs.scale


def test_values_stay_in_the_units_of_the_file(ramp):
    batch = (data := made(path=ramp, lookback=2, horizon=1, split=[4, 8, 8])).collate([data.part("test")[0]])
    assert batch.inputs.tolist() == [[[10, 5], [11, 5]]]
    assert batch.targets.tolist() == [[[12, 5]]]
    assert batch.inputs.dtype == batch.targets.dtype == torch.float32
    assert batch.lengths is None


def test_spec_names_inputs_and_targets(ramp):
    data = made(path=ramp, time_column="time", targets=["y", "x"], inputs=["y", "x"], lookback=3, horizon=2, season=5)
    assert data.spec.inputs.names == ("y", "x")
    assert data.spec.inputs.rate == pytest.approx(1 / 3600)
    assert isinstance(data.spec.inputs, Frames)
    naive, counts = ((0.0, 0.0), (5.0, 5.0)), (True, True)
    assert data.spec.task == Series(2, ("y", "x"), (5.0, 6.5), (1.0, pytest.approx(16.25**0.5)), 3, 5, naive, counts)
    inputs, targets = data.part("train")[0]
    assert inputs.tolist() == [[5, 0], [5, 1], [5, 2]]
    assert targets.tolist() == [[5, 3], [5, 4]]


def test_without_times_nothing_is_known_of_rate_and_season(ramp):
    data = made(path=ramp, targets=["x"], lookback=1, horizon=1)
    assert data.spec.inputs == Frames(("x", "y"), data.spec.inputs.mean, data.spec.inputs.scale, rate=None)
    assert data.spec.task.season is None


def test_facts_and_fingerprint(ramp):
    data = made(path=ramp, time_column="time", lookback=3, horizon=2, split=[10, 5, 5])
    with open(ramp, "rb") as file:
        assert data.fingerprint == sha256(file.read()).hexdigest()
    assert data.facts == {
        "file": ramp,
        "rows": "20",
        "step": "1:00:00",
        "season": "24 rows, by the step",
        "left out": "columns without numbers: note",
        "train": "10 rows, 6 windows",
        "valid": "5 rows, 4 windows",
        "test": "5 rows, 4 windows",
    }


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_each_order_holds_every_window_once(ramp, batch_size):
    data = made(path=ramp, lookback=1, horizon=1)
    for split in ("train", "valid", "test"):
        order = data.order(split, batch_size, seed=1, epoch=2)
        assert sorted(chain(*order)) == list(range(len(data.part(split))))
        assert order == data.order(split, batch_size, seed=1, epoch=2)
    assert list(chain(*data.order("test", batch_size, 1, 2))) == list(range(len(data.part("test"))))
    assert data.order("train", batch_size, 1, 0) != data.order("train", batch_size, 1, 1)


def test_fills_what_is_missing_as_told(tmp_path):
    path = tmp_path / "gap.csv"
    path.write_text("t,x\n2016-07-01,0\n2016-07-02,\n2016-07-03,2\n2016-07-05,4\n2016-07-05,9\n2016-07-06,5\n")
    data = made(
        path=str(path), time_column="t", lookback=1, horizon=1, split=[3, 1, 2], missing="interpolate", repeats="first"
    )
    assert windows(data, "train") + windows(data, "valid") + windows(data, "test") == [([i], [i + 1]) for i in range(5)]
    assert data.facts["missing"] == "2 cells filled (interpolate), 1 rows put in for times left out"
    assert data.facts["repeats"] == "1 left out"
    assert data.facts["rows"] == "6"


# --- refusals


def test_refuses_a_missing_file_before_reading(tmp_path):
    (tmp_path / "ETTh1.csv").write_text("x\n1\n")
    with pytest.raises(DataError) as caught:
        SeriesCsv(path=str(tmp_path / "ETTh.csv"))
    assert str(caught.value) == (
        f"{tmp_path}/ETTh.csv: no such file. Did you mean 'ETTh1.csv'? Expected a CSV or Parquet file"
    )


WAYS = "three fractions [0.7,0.1,0.2], three row counts [8640,2880,2880] or two dates [2017-07-01,2017-11-01]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": [0.7, 0.3]}, f"data.split=[0.7,0.3]: expected {WAYS}"),
        ({"split": [10, 0, 10]}, f"data.split=[10,0,10]: expected {WAYS}"),
        ({"split": [0.7, 0.2, 0.2]}, "data.split=[0.7,0.2,0.2]: the fractions sum to 1.1. Expected at most 1"),
        ({"split": ["July", "August"]}, f"data.split=[July,August]: not ISO 8601 dates. Expected {WAYS}"),
        ({"split": ["2016-07-01", "2016-08-01"]},
         "data.split=[2016-07-01,2016-08-01]: a split by dates needs data.time_column"),
        ({"split": ["2016-08-01", "2016-07-01"], "time_column": "time"},
         "data.split=[2016-08-01,2016-07-01]: the test part must start after the validation part"),
        ({"targets": []}, "data.targets=[]: name at least one column, or leave it out for all columns of numbers"),
        ({"inputs": ["x", "x"]}, "data.inputs: column 'x' is named twice"),
        ({"targets": ["time"], "time_column": "time"},
         "data.targets: column 'time' is data.time_column; it cannot be both"),
    ],
)  # fmt: skip
def test_refuses_options_before_reading(ramp, options, message):
    with pytest.raises(ConfigError) as caught:
        SeriesCsv(path=ramp, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": ["X"]}, "FILE: no column 'X'. Columns: time, x, y, note"),
        ({"targets": ["note"]}, "FILE, line 2, column 'note': 'n' is not a number"),
        ({"split": [10, 6, 5]}, "FILE: has 20 rows. data.split takes 21"),
        ({"lookback": 9}, "FILE: the train part has 10 rows. data.lookback=9 and data.horizon=2 need at least 11"),
        ({"split": [10, 5, 1]}, "FILE: the test part has 1 rows. data.horizon=2 needs at least 2"),
        ({"split": ["2016-07-01T15:00", "2016-07-02"], "time_column": "time"},
         "FILE: the test part has 0 rows. data.horizon=2 needs at least 2"),
        ({"split": ["2016-07-01", "2016-07-02"], "time_column": "x"},
         "FILE: column 'x' holds numbers. data.split by dates needs dates"),
    ],
)  # fmt: skip
def test_refuses_what_the_file_does_not_have(ramp, options, message):
    assert refusal(DataError, path=ramp, **{"lookback": 3, "horizon": 2, "split": [10, 5, 5], **options}) == message


def test_built_from_a_config_the_kind_of_split_is_kept(ramp):
    for split in ([0.5, 0.25, 0.25], [10, 5, 5], ["2016-07-01T10:00", "2016-07-01T15:00"]):
        data = build("data", {"name": "series_csv", "path": ramp, "time_column": "time", "split": split})
        assert data.split == split
        assert [type(item) for item in data.split] == [type(item) for item in split]


# --- the shipped sample


def test_sea_temperature_is_the_published_file_on_even_half_hours():
    data = sea_temperature()
    data.setup()
    # The digest that bokeh_sampledata 2026.1 records for its sea_surface_temperature.csv.gz.
    assert data.fingerprint == "529155ac773634b0dca439781a839487640db92e2bdb597e372a2b0ba0ffbff0"
    assert data.facts["rows"] == "19,226"
    assert data.facts["repeats"] == "1 left out"
    assert data.facts["missing"] == "24 cells filled (interpolate), 24 rows put in for times left out"
    assert data.spec.inputs.names == data.spec.task.names == ("temperature (celsius)",)
    assert data.spec.inputs.rate == pytest.approx(1 / 1800)
    assert data.spec.task.season == 48
    # 401 days of 48 half hours and both ends; every row after the look-back is predicted in some window.
    assert sum(int(data.facts[part].split()[0].replace(",", "")) for part in ("train", "valid", "test")) == 401 * 48 + 1


def test_the_sample_has_its_licence_beside_it():
    assert "may be used and redistributed for free" in SAMPLE.with_name("sea_temperature.LICENSE.txt").read_text()


# --- against the literature


@pytest.mark.parametrize(("horizon", "count", "mse", "mae"), [(96, 2785, 1.294, 0.713), (24, 2857, 1.222, 0.671)])
def test_etth1_has_the_split_and_scaling_of_the_literature(shared, horizon, count, mse, mae):
    data = made(
        path=str(shared / "timeseries" / "etth1" / "ETTh1.csv"),
        time_column="date",
        lookback=336,
        horizon=horizon,
        split=[8640, 2880, 2880],
    )
    part = data.part("test")
    scale = torch.tensor(data.spec.task.scale)
    errors = torch.stack([(targets - inputs[-1]) / scale for inputs, targets in (part[i] for i in range(len(part)))])
    assert len(part) == count
    assert data.spec.task.season == 24
    # Repeating the last value: 1.295/0.713 in the table of cure-lab/LTSF-Linear at 96.
    assert errors.double().square().mean().item() == pytest.approx(mse, abs=5e-4)
    assert errors.double().abs().mean().item() == pytest.approx(mae, abs=5e-4)

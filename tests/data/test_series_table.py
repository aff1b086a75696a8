from hashlib import sha256
from itertools import chain
from pathlib import Path

import pytest
import torch

from seqkit.data.series_table import SeriesTable
from seqkit.errors import ConfigError, DataError
from seqkit.inputs.frames.frontend import FramesFrontend
from seqkit.inputs.frames.spec import Frames
from seqkit.registry import build
from seqkit.specs import spec_from_json, spec_to_json
from seqkit.tasks.forecast.spec import Series
from seqkit.testing import check_data
from seqkit.testing.check import require
from seqkit.testing.heads import suite
from seqkit.testing.line import parse
from tests.bad_files import hourly, many

OPTIONS = {"series": "shop", "time_column": "date", "targets": ["sales"], "lookback": 8, "horizon": 2}
ALL = {"known": ["promo"], "static": ["size"], "categories": ["region"], "calendar": ["hour"]}


def made(text=None, **options):
    Path("t.csv").write_text(many() if text is None else text)
    data = SeriesTable(path="t.csv", **{**OPTIONS, **options})
    data.setup()
    return data


def changed(line, number=50):
    return many({number: line})


@pytest.fixture
def ramp(tmp_path):
    """Return a file of 20 hours: x counts up from 0, y is constant, note is text."""
    path = tmp_path / "ramp.csv"
    rows = [f"2016-07-{1 + hour // 12:02}T{hour % 12:02}:00,{hour},5,n" for hour in range(12)]
    rows += [f"2016-07-01T{hour}:00,{hour},5,n" for hour in range(12, 20)]
    path.write_text("\n".join(["time,x,y,note", *rows]) + "\n")
    return str(path)


def one(**options):
    data = SeriesTable(**options)
    data.setup()
    return data


# --- one series: windows and parts


def windows(data, split):
    part = data.part(split)
    return [
        (inputs[:, 0].tolist(), targets[:, 0].tolist()) for inputs, targets, *_ in (part[i] for i in range(len(part)))
    ]


def refusal(error, **options):
    with pytest.raises(error) as caught:
        one(**options)
    return str(caught.value).replace(str(options.get("path")), "FILE")


def test_every_window_of_each_part_with_the_evaluation_parts_reaching_back(ramp):
    data = one(path=ramp, lookback=3, horizon=2, split=[10, 5, 5])
    assert windows(data, "train") == [([i, i + 1, i + 2], [i + 3, i + 4]) for i in range(6)]  # last target row: 9
    assert windows(data, "valid") == [([i - 3, i - 2, i - 1], [i, i + 1]) for i in range(10, 14)]
    assert windows(data, "test") == [([i - 3, i - 2, i - 1], [i, i + 1]) for i in range(15, 19)]


@pytest.mark.parametrize("mirror", [False, True])
def test_the_samples_of_a_part_end(ramp, mirror):
    part = one(path=ramp, lookback=3, horizon=2, split=[10, 5, 5], mirror=mirror).part("train")
    assert len(list(part)) == len(part) == (12 if mirror else 6)
    with pytest.raises(IndexError):
        part[-1]


def test_stride_thins_out_the_training_windows_only(ramp):
    data = one(path=ramp, lookback=3, horizon=2, split=[10, 5, 5], stride=2)
    assert [targets[0] for _, targets in windows(data, "train")] == [3, 5, 7]
    assert len(data.part("test")) == 4


def test_mirror_adds_the_training_windows_upside_down(ramp):
    data = one(path=ramp, lookback=3, horizon=2, split=[10, 5, 5], mirror=True)
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
    data = one(path=ramp, time_column="time", lookback=1, horizon=1, split=split)
    assert tuple(len(data.part(part)) for part in ("train", "valid", "test")) == (rows[0] - 1, *rows[1:])


def test_dates_split_monthly_rows(tmp_path):
    path = tmp_path / "months.csv"
    path.write_text("t,x\n" + "".join(f"2016-{month:02}-01,{month}\n" for month in range(1, 13)))
    data = one(path=str(path), time_column="t", lookback=1, horizon=1, split=["2016-07-01", "2016-10-01"])
    assert [data.part(part)[0][1].item() for part in ("train", "valid", "test")] == [2, 7, 10]


def test_scaling_is_that_of_the_training_part_only(ramp):
    data = one(path=ramp, lookback=1, horizon=1, split=[4, 8, 8])
    assert data.spec.inputs.mean == (1.5, 5)  # of 0, 1, 2, 3
    assert data.spec.inputs.scale == (pytest.approx(1.25**0.5), 1)  # population deviation; 1 where constant
    assert data.spec.task.scale == data.spec.inputs.scale


def test_values_stay_in_the_units_of_the_file(ramp):
    batch = (data := one(path=ramp, lookback=2, horizon=1, split=[4, 8, 8])).collate([data.part("test")[0]])
    assert batch.inputs.tolist() == [[[10, 5], [11, 5]]]
    assert batch.targets.tolist() == [[[12, 5]]]
    assert batch.inputs.dtype == batch.targets.dtype == torch.float32
    assert batch.lengths is None


def test_spec_names_inputs_and_targets(ramp):
    data = one(path=ramp, time_column="time", targets=["y", "x"], inputs=["y", "x"], lookback=3, horizon=2, season=5)
    assert data.spec.inputs.names == ("y", "x")
    assert data.spec.inputs.rate == pytest.approx(1 / 3600)
    assert isinstance(data.spec.inputs, Frames)
    naive, counts = ((0.0, 0.0), (5.0, 5.0)), (True, True)
    assert data.spec.task == Series(2, ("y", "x"), (5.0, 6.5), (1.0, pytest.approx(16.25**0.5)), 3, 5, naive, counts)
    inputs, targets, *_ = data.part("train")[0]
    assert inputs.tolist() == [[5, 0], [5, 1], [5, 2]]
    assert targets.tolist() == [[5, 3], [5, 4]]


def test_without_times_nothing_is_known_of_rate_and_season(ramp):
    data = one(path=ramp, targets=["x"], lookback=1, horizon=1)
    assert data.spec.inputs == Frames(("x", "y"), data.spec.inputs.mean, data.spec.inputs.scale, rate=None)
    assert data.spec.task.season is None


def test_facts_and_fingerprint(ramp):
    data = one(path=ramp, time_column="time", lookback=3, horizon=2, split=[10, 5, 5])
    with open(ramp, "rb") as file:
        assert data.fingerprint == sha256(file.read()).hexdigest()
    assert data.facts == {
        "file": ramp,
        "rows": "20",
        "read as": "separated by comma",
        "step": "1:00:00",
        "season": "24 rows, by the step",
        "scaling": "standard",
        "left out": "columns without numbers: note",
        "train": "10 rows, 6 windows",
        "valid": "5 rows, 4 windows",
        "test": "5 rows, 4 windows",
    }


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_each_order_holds_every_window_once(ramp, batch_size):
    data = one(path=ramp, lookback=1, horizon=1)
    for split in ("train", "valid", "test"):
        order = data.order(split, batch_size, seed=1, epoch=2)
        assert sorted(chain(*order)) == list(range(len(data.part(split))))
        assert order == data.order(split, batch_size, seed=1, epoch=2)
    assert list(chain(*data.order("test", batch_size, 1, 2))) == list(range(len(data.part("test"))))
    assert data.order("train", batch_size, 1, 0) != data.order("train", batch_size, 1, 1)


def test_fills_what_is_missing_as_told(tmp_path):
    path = tmp_path / "gap.csv"
    path.write_text("t,x\n2016-07-01,0\n2016-07-02,\n2016-07-03,2\n2016-07-05,4\n2016-07-05,9\n2016-07-06,5\n")
    data = one(
        path=str(path), time_column="t", lookback=1, horizon=1, split=[3, 2, 1], missing="interpolate", repeats="first"
    )
    assert windows(data, "train") + windows(data, "valid") + windows(data, "test") == [([i], [i + 1]) for i in range(5)]
    assert data.facts["missing"] == "2 cells filled (interpolate), 1 rows put in for times left out"
    assert data.facts["repeats"] == "1 left out"
    assert data.facts["rows"] == "6"


# --- one series: refusals


def test_refuses_a_missing_file_before_reading(tmp_path):
    (tmp_path / "ETTh1.csv").write_text("x\n1\n")
    with pytest.raises(DataError) as caught:
        SeriesTable(path=str(tmp_path / "ETTh.csv"))
    assert str(caught.value) == (
        f"{tmp_path}/ETTh.csv: no such file. Did you mean 'ETTh1.csv'? Expected a CSV, TSV, Parquet or Excel file"
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
        SeriesTable(path=ramp, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": ["X"]}, "FILE: no column 'X'. Did you mean 'x'? Columns: time, x, y, note"),
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
        data = build("data", {"name": "series_table", "path": ramp, "time_column": "time", "split": split})
        assert data.split == split
        assert [type(item) for item in data.split] == [type(item) for item in split]


# --- one series: against the literature


@pytest.mark.parametrize(("horizon", "count", "mse", "mae"), [(96, 2785, 1.294, 0.713), (24, 2857, 1.222, 0.671)])
def test_etth1_has_the_split_and_scaling_of_the_literature(shared, horizon, count, mse, mae):
    data = one(
        path=str(shared / "timeseries" / "etth1" / "ETTh1.csv"),
        time_column="date",
        lookback=336,
        horizon=horizon,
        split=[8640, 2880, 2880],
    )
    part = data.part("test")
    scale = torch.tensor(data.spec.task.scale)
    errors = torch.stack(
        [(targets - inputs[-1]) / scale for inputs, targets, *_ in (part[i] for i in range(len(part)))]
    )
    assert len(part) == count
    assert data.spec.task.season == 24
    # Repeating the last value: 1.295/0.713 in the table of cure-lab/LTSF-Linear at 96.
    assert errors.double().square().mean().item() == pytest.approx(mse, abs=5e-4)
    assert errors.double().abs().mean().item() == pytest.approx(mae, abs=5e-4)


# --- many series: windows


def test_windows_lie_within_their_series_and_their_part():
    text = "shop,sales\n" + "".join(
        f"{shop},{100 * n + row}\n" for n, shop in enumerate("ab") for row in range(20 - 4 * n)
    )
    data = made(text, time_column=None, lookback=3, horizon=2, split=[0.5, 0.25, 0.25])
    found = {}
    for split in ("train", "valid", "test"):
        part = data.part(split)
        found[split] = [
            (i[:, 0].tolist(), t[:, 0].tolist(), series) for i, t, _, series in map(part.__getitem__, range(len(part)))
        ]
    train = [
        ([n + i, n + i + 1, n + i + 2], [n + i + 3, n + i + 4], n // 100)
        for n, count in ((0, 6), (100, 4))
        for i in range(count)
    ]
    assert found["train"] == train  # the last target rows are 9 of 20 and 7 of 16
    assert [targets for _, targets, _ in found["valid"]] == [[n, n + 1] for n in (10, 11, 12, 13, 108, 109, 110)]
    assert [targets for _, targets, _ in found["test"]] == [[n, n + 1] for n in (15, 16, 17, 18, 112, 113, 114)]
    assert found["valid"][0][0] == [7, 8, 9]  # reads back over the border


def test_strides_thin_out_the_windows_of_each_series():
    data = made(stride=5, eval_stride=2)
    sizes = {split: [len(starts) for starts in data.part(split).starts] for split in ("train", "valid", "test")}
    assert sizes == {"train": [4, 4, 4], "valid": [2, 2, 2], "test": [4, 4, 4]}


def test_rows_of_series_may_be_interleaved_and_uneven_in_start():
    header, *rows = many().splitlines()
    mixed = "\n".join([header, *chain.from_iterable(zip(rows[80:], rows[:40], rows[40:80], strict=True))]) + "\n"
    data, other = made(), made(mixed)
    assert other.spec.task.members == ("c", "a", "b")
    assert torch.equal(other.part("test").values_RI[:40], data.part("test").values_RI[80:])


def test_two_dates_cut_all_series():
    data = made(split=["2024-01-02 12:00", "2024-01-03 00:00"])
    assert data.facts["train"] == "48 rows, 30 windows; none of 1 short series: 'c'"
    assert data.facts["test"] == "56 rows, 46 windows; none of 1 short series: 'a'"
    first = data.part("valid")[0][1][0, 0]
    assert first == data.part("valid").values_RI[36, 0]  # of shop a, which starts at 2024-01-01 00:00


def test_order_is_a_function_of_seed_and_epoch():
    data = made()
    size = len(data.part("train"))
    assert data.order("train", 4, 1, 2) == data.order("train", 4, 1, 2) != data.order("train", 4, 1, 3)
    assert sorted(chain.from_iterable(data.order("train", 4, 1, 2))) == list(range(size))
    assert sorted(chain.from_iterable(data.order("test", 4, 1, 2))) == list(range(len(data.part("test"))))


# --- columns


def test_a_batch_has_the_columns_by_role_and_those_known_ahead_over_the_horizon():
    data = made(**ALL)
    frames = data.spec.inputs
    assert frames.names == ("sales", "promo", "hour sine", "hour cosine", "size", "region")
    assert frames.roles == ("past", "known", "calendar", "calendar", "static", "static")
    assert frames.levels == ((), (), (), (), (), ("N", "S"))
    part = data.part("test")
    batch = data.collate([part[0], part[len(part) - 1]])
    assert batch.inputs.shape == (2, 8, 6)
    assert batch.extras["series"].tolist() == [0, 2]
    assert batch.inputs[:, :, 4].tolist() == [[5] * 8, [7] * 8]
    assert batch.inputs[:, :, 5].tolist() == [[1] * 8, [1] * 8]
    start = 32  # the first row of the test part of shop a: 2024-01-02 08:00
    promo = [float(hour % 3 == 0) for hour in (start, start + 1)]
    assert batch.extras["known"].shape == (2, 2, 3)
    assert batch.extras["known"][0, :, 0].tolist() == promo
    angle = torch.tensor([8.0, 9.0]) * 2 * torch.pi / 24
    assert torch.allclose(batch.extras["known"][0, :, 1:], torch.stack((angle.sin(), angle.cos()), 1), atol=1e-6)


def test_words_known_ahead_have_a_column_each_of_the_training_part():
    lines = many(header="shop,date,sales,event,size,region").splitlines()
    words = {2: "sale", 3: "", 5: "Easter", 40: "strike"}
    for number, line in enumerate(lines[1:], 2):
        shop, date, sales, _, *rest = line.split(",")
        lines[number - 1] = ",".join([shop, date, sales, words.get(number, ""), *rest])
    data = made("\n".join(lines) + "\n", events=["event"], targets=None, static=["size"])
    frames = data.spec.inputs
    assert frames.events == (("event", ("Easter", "sale")),)  # the strike is in the test part
    assert frames.names == ("sales", "event=Easter", "event=sale", "size")
    assert frames.roles == ("past", "known", "known", "static")
    assert data.part("train")[0][0][:4, 1:3].tolist() == [[0, 1], [0, 0], [0, 0], [1, 0]]
    assert data.collate([data.part("train")[0]]).extras["known"].shape == (1, 2, 2)
    assert spec_from_json(spec_to_json(data.spec)) == data.spec


def test_without_columns_known_ahead_there_are_none():
    assert set(made().collate([made().part("train")[0]]).extras) == {"series", "naive"}


def test_the_series_itself_may_be_a_category():
    assert made(categories=["shop"]).spec.inputs.levels == ((), ("a", "b", "c"))


@pytest.mark.parametrize(
    ("scaling", "shift", "scale"),
    [("standard", 3.0, 2.0**0.5), ("minmax", 1.0, 4.0), ("robust", 3.0, 2.0), ("window", 3.0, 2.0**0.5)],
)
def test_scaling_comes_from_the_training_part_of_all_series(scaling, shift, scale):
    rows = [1, 2, 3, 4, 5, 90, 91, 92, 93, 94]
    text = "shop,sales\n" + "".join(f"{shop},{row}\n" for shop in "ab" for row in rows)
    data = made(text, time_column=None, lookback=2, horizon=2, split=[0.5, 0.2, 0.3], scaling=scaling)
    assert data.spec.inputs.mean == data.spec.task.mean == pytest.approx((shift,))
    assert data.spec.inputs.scale == data.spec.task.scale == pytest.approx((scale,))
    assert data.spec.inputs.window == bool(data.spec.task.window) == (scaling == "window")


def test_each_series_may_be_scaled_by_its_own_training_part():
    data = made(scaling="series")
    frames = data.spec.inputs
    assert frames.names == ("sales", "sales mean", "sales scale")
    assert data.spec.task.own == ((1, 2),)
    batch = data.collate([part[len(part) - 1] for part in (data.part("test"),)])
    train = data.part("train").values_RI[80:108, 0].double()  # 28 of the 40 rows of shop c
    mean, scale = train.mean(), train.std(correction=0)
    assert batch.inputs[0, :, 1].tolist() == [pytest.approx(float(mean))] * 8
    assert batch.inputs[0, :, 2].tolist() == [pytest.approx(float(scale))] * 8
    task, targets = data.spec.task, batch.targets
    assert torch.allclose(task.scaled(targets, batch).double(), (targets.double() - mean) / scale, atol=1e-5)
    assert torch.allclose(task.in_units(task.scaled(targets, batch), batch), targets.double())
    assert spec_from_json(spec_to_json(data.spec)) == data.spec


@pytest.mark.parametrize("scaling", ["window", "standard"])
@pytest.mark.parametrize("transform", ["log", "difference"])
def test_what_is_learned_of_a_transformed_target_gives_its_value_back(transform, scaling):
    data = made(transform=transform, scaling=scaling, horizon=3)
    task, part = data.spec.task, data.part("test")
    batch = data.collate([part[0], part[len(part) - 1]])
    values = batch.targets.double()
    learned = task.encoded(values, batch)
    assert torch.allclose(task.decoded(learned, batch), values, rtol=1e-12)
    past = batch.inputs[:, :, 0].double()
    if transform == "log":
        made_of, past = values[:, :, 0].log(), past.log()
    else:
        made_of = values[:, :, 0].diff(dim=1, prepend=past[:, -1:])
        past = past.diff(dim=1, prepend=past[:, :1])
    mean, scale = past.mean(1, keepdim=True), past.std(1, correction=0, keepdim=True)
    if scaling == "standard":
        mean, scale = task.transformed[0]
        assert (data.spec.inputs.mean, data.spec.inputs.scale) == ((mean,), (scale,))
    assert torch.allclose(learned[:, :, 0], (made_of - mean) / scale, rtol=1e-4, atol=1e-5)
    read, _ = FramesFrontend(data.spec)(batch.inputs)
    assert torch.allclose(read[:, :, 0].double(), (past - mean) / scale, rtol=1e-4, atol=1e-4)
    plain = made(scaling=scaling, horizon=3).spec.task
    assert torch.equal(task.scaled(values, batch), plain.scaled(values, batch))  # as metrics and baselines see it


def test_a_series_without_a_training_part_is_scaled_by_that_of_all():
    data = made(scaling="series", split=["2024-01-02 12:00", "2024-01-03 00:00"])  # shop c starts on 2024-01-03
    frames = data.spec.inputs
    assert [name for name, *_ in frames.members] == ["a", "b", "c"]
    assert frames.members[2][1:] == ((frames.mean[0],), (frames.scale[0],))
    assert frames.members[0][1:] != frames.members[2][1:]


def test_a_mask_says_where_a_column_with_gaps_was_observed():
    lines = many().splitlines()
    lines[4] = "a,2024-01-01 03:00,,0,5,N"
    del lines[8]
    data = made("\n".join(lines) + "\n", missing="mask", mirror=True)
    assert data.spec.inputs.names == ("sales", "sales observed")
    assert data.spec.inputs.roles == ("past", "observed")
    inputs = data.part("train")[0][0]
    assert inputs[:, 1].tolist() == [1, 1, 1, 0, 1, 1, 1, 0]
    assert inputs[3, 0] == inputs[2, 0]
    upside_down = data.part("train")[len(data.part("train")) // 2][0]
    assert upside_down[:, 1].tolist() == inputs[:, 1].tolist()
    assert torch.equal(upside_down[:, 0], 2 * inputs[-1, 0] - inputs[:, 0])
    assert data.facts["missing"] == "2 cells filled (mask), 1 rows put in for times left out"
    whole = made(missing="mask")
    assert whole.spec.inputs.names == ("sales",)


def test_gaps_are_filled_within_a_series():
    lines = many().splitlines()
    del lines[49]  # a row of shop b
    lines[1] = "a,2024-01-01 00:00,2,1,5,N"
    lines[2] = "a,2024-01-01 01:00,,1,5,N"
    lines[3] = "a,2024-01-01 02:00,4,1,5,N"
    data = made("\n".join(lines) + "\n", missing="interpolate")
    assert data.facts["missing"] == "2 cells filled (interpolate), 1 rows put in for times left out"
    assert data.part("train").values_RI[:3, 0].tolist() == [2, 3, 4]
    assert len(data.part("train").values_RI) == 120


def test_facts_say_what_was_read():
    facts = made().facts
    assert {name: facts[name] for name in ("rows", "series", "step", "season", "train")} == {
        "rows": "120", "series": "3, of 40 to 40 rows", "step": "1:00:00", "season": "24 rows, by the step",
        "train": "84 rows, 57 windows",
    }  # fmt: skip


def test_short_series_are_left_out_and_said():
    data = made(many() + "d,2024-01-01 00:00,1,0,5,N\nd,2024-01-01 01:00,1,0,5,N\n")
    assert data.facts["train"] == "85 rows, 57 windows; none of 1 short series: 'd'"


def test_left_out_targets_are_all_columns_of_numbers_that_are_named_for_nothing_else():
    data = made(targets=None, known=["promo"], static=["size"])
    assert data.spec.task.names == ("sales",)
    assert data.facts["left out"] == "columns without numbers: region"
    assert made(targets=None).spec.task.names == ("sales", "promo", "size")
    assert made(inputs=["sales", "size"]).spec.inputs.names == ("sales", "size")


def test_row_counts_cut_each_series():
    data = made(split=[20, 6, 6])
    assert [len(data.part(split)) for split in ("train", "valid", "test")] == [3 * 11, 3 * 5, 3 * 5]


def test_a_target_that_is_not_read_is_said_and_scaled_by_its_training_part():
    data = made(inputs=["promo", "size"], scaling="standard")
    assert data.facts["not read"] == "'sales', predicted from the other columns alone"
    assert data.spec.inputs.names == ("promo", "size")
    assert data.spec.task.mean == made(scaling="standard").spec.task.mean
    inputs, targets, *_ = data.part("train")[0]
    assert inputs.shape == (8, 2)
    assert torch.equal(targets, made().part("train")[0][1])
    for scaling in ("window", "series"):
        with pytest.raises(ConfigError, match="and data.inputs leaves out 'sales'. Name it there too"):
            made(inputs=["promo", "size"], scaling=scaling)
    with pytest.raises(
        ConfigError, match="data.transform=difference goes on from the last row of a target, and data.inp"
    ):
        made(inputs=["promo", "size"], scaling="standard", transform="difference")


def test_one_series_may_have_columns_known_ahead(ramp):
    data = one(path=ramp, time_column="time", known=["y"], calendar=["hour"], lookback=2, horizon=3, split=[10, 5, 5])
    assert data.spec.inputs.names == ("x", "y", "hour sine", "hour cosine")
    assert data.spec.task.names == ("x",)
    sample = data.part("train")[0]
    assert sample[0][:, 0].tolist() == [0, 1]
    assert sample[2][:, 0].tolist() == [5, 5, 5]
    assert set(data.collate([sample]).extras) == {"known"}


def wide(rows=40):
    """Return the CSV text of ``many`` with a column per shop, and a column of the hour."""
    cells = [line.split(",") for line in many(rows=rows).splitlines()[1:]]
    times = sorted({cell[1] for cell in cells})
    sales = {(cell[0], cell[1]): cell[2] for cell in cells}
    lines = [",".join([time, *(sales.get((shop, time), "") for shop in "abc"), time[-5:-3]]) for time in times]
    return "\n".join(["date,a,b,c,hour", *lines]) + "\n"


WIDE = {"series": None, "targets": None, "wide": True, "known": ["hour"]}


def test_a_wide_table_is_what_a_long_one_of_the_same_series_is():
    of_wide, of_long = made(wide(), **WIDE), made()
    assert of_wide.spec.task.members == ("a", "b", "c")
    assert of_wide.spec.inputs.names == ("value", "hour")
    assert of_wide.facts["series"] == of_long.facts["series"]
    for split in ("train", "valid", "test"):
        assert len(of_wide.part(split)) == len(of_long.part(split))
        assert torch.equal(of_wide.part(split).values_RI[:, 0], of_long.part(split).values_RI[:, 0])
    assert of_wide.part("test").values_RI[:3, 1].tolist() == [0, 1, 2]
    batch = of_wide.collate([of_wide.part("test")[0]])
    assert batch.extras["known"].shape == (1, 2, 1)
    assert spec_from_json(spec_to_json(of_wide.spec)) == of_wide.spec


def test_a_wide_table_with_gaps_may_have_a_mask():
    text = wide().replace(",1.7242,", ",,")
    data = made(text, **WIDE, missing="mask")
    assert data.spec.inputs.names == ("value", "value observed", "hour")
    assert (data.part("train").values_RI[:, 1] == 0).sum() == 1
    Path("known.csv").write_text(
        "date,hour\n" + "".join(f"2024-01-{d:02d} {h:02d}:00,{h}\n" for d in range(1, 9) for h in range(24))
    )
    assert len(data.spec.inputs.latest("t.csv", 8, 2, "known.csv")) == 3


def test_some_columns_of_a_wide_table_may_be_series():
    data = made(wide(), **{**WIDE, "targets": ["c", "a"], "categories": ["series"]})
    assert data.spec.task.members == ("c", "a")
    assert data.spec.inputs.wide == ("c", "a")
    assert data.spec.inputs.levels == ((), (), ("a", "c"))


def test_the_spec_survives_json():
    spec = made(**ALL).spec
    assert spec_from_json(spec_to_json(spec)) == spec


def test_the_conformance_suite():
    made()
    check_data("series_table", path="t.csv", **OPTIONS, **ALL, batch_size=5)


@pytest.mark.parametrize(
    "columns",
    [
        "data.known=[promo] data.static=[size] data.categories=[region] data.calendar=[hour]",
        "data.scaling=series data.missing=mask",
        "data.transform=log",
    ],
)
def test_heads_pass_the_conformance_suite(columns):
    made(changed("b,2024-01-02 08:00,,0,6,S"), missing="mask")
    columns += "" if "mask" in columns else " data.missing=forward"
    table = f"data=series_table data.path=t.csv data.series=shop data.time_column=date data.targets=[sales] {columns}"
    require(*suite(parse(f"head=quantile_forecast {table} data.lookback=8 data.horizon=2 data.batch_size=4".split())))


# --- many series: refusals

LEFT_OUT = "\n".join(line for number, line in enumerate(many().splitlines()) if number != 50) + "\n"
UPSIDE_DOWN = "\n".join([many().splitlines()[0], *many().splitlines()[:0:-1]]) + "\n"
DAILY = "".join(f"d,2024-02-{day:02d} 00:00,1,0,5,N\n" for day in range(1, 29))
NUMBERS = "shop,date,sales\n" + "".join(f"{shop},{row},{row % 3}\n" for shop in "ab" for row in range(40))

REFUSED = {
    "a wide table": (hourly(), {"series": "load", "targets": ["heat"]}, "t.csv, column 'load': 60 different values in 60 rows, so most are no series. Expected the column that names the series of each row; without data.series all rows are one series"),
    "no column of the series": (many(), {"series": "store"}, "t.csv: no column 'store'. Columns: shop, date, sales"),
    "no such target": (many(), {"targets": ["sale"]}, "t.csv: no column 'sale'. Did you mean 'sales'?"),
    "no such known column": (many(), {"known": ["promos"]}, "no column 'promos'. Did you mean 'promo'?"),
    "no such category": (many(), {"categories": ["city"]}, "no column 'city'"),
    "a row left out in one series": (LEFT_OUT, {}, "t.csv, line 51, column 'date': 2:00:00 after the row before, where most rows are 1:00:00 apart"),
    "a cell of one series": (changed("b,2024-01-02 08:00,,0,6,S"), {}, "t.csv, line 50, column 'sales': no value (the only one). Expected a number; data.missing=forward or data.missing=interpolate fills what is missing (series 'b')"),
    "a time twice": (changed("b,2024-01-02 07:00,1,0,6,S"), {}, "t.csv, line 50, column 'date': the same time as line 49. Expected one row per series and step"),
    "a series twice": (many() + many().partition("\n")[2], {}, "t.csv, line 122, column 'date': an earlier time than line 41. Expected rising times in each series (series 'a')"),
    "upside down": (UPSIDE_DOWN, {}, "line 3, column 'date': an earlier time than line 2"),
    "another step": (many() + DAILY, {}, "t.csv, line 123, column 'date': series 'd' has a row every 1 day, 0:00:00, most have one every 1:00:00"),
    "dates and words": (changed("b,today,1,0,6,S"), {}, "t.csv, line 50, column 'date': 'today' is not a time"),
    "a series without a name": (changed(",2024-01-02 08:00,1,0,6,S"), {}, "t.csv, line 50, column 'shop': no name of a series"),
    "one number in two spellings": (many(shops=("1", "2", "01")), {}, "t.csv, line 82, column 'shop': series '01' and '1' are the same number"),
    "a word in a target": (changed("b,2024-01-02 08:00,many,0,6,S"), {}, "t.csv, line 50, column 'sales': 'many' is not a number"),
    "a word in a known column": (changed("b,2024-01-02 08:00,1,yes,6,S"), {"known": ["promo"]}, "t.csv, line 50, column 'promo': 'yes' is not a number"),
    "a static column that changes": (changed("b,2024-01-02 08:00,1,0,7,S"), {"static": ["size"]}, "t.csv, line 50, column 'size': '7.0', and '6.0' in line 42 of the same series. Expected one value per series"),
    "a category that changes": (changed("b,2024-01-02 08:00,1,0,6,W"), {"categories": ["region"]}, "t.csv, line 50, column 'region': 'W', and 'S' in line 42 of the same series"),
    "a category without a value": (changed("b,2024-01-02 08:00,1,0,6,"), {"categories": ["region"]}, "t.csv, line 50, column 'region': no value"),
    "words in a static column": (many(), {"static": ["region"]}, "line 2, column 'region': 'N' is not a number"),
    "too short to train": (many(rows=12), {}, "t.csv: no series has a window in the train part; the longest has 8 rows there. data.lookback=8 and data.horizon=2 need at least 10"),
    "too short to validate": (many(rows=18), {}, "t.csv: no series has a window in the valid part; the longest has 1 rows there. data.horizon=2 needs at least 2"),
    "a split of more rows than a series has": (many(), {"split": [30, 5, 6]}, "t.csv: series 'a' has 40 rows. data.split takes 41"),
    "nothing but words": ("shop,place\n" + "".join(f"{shop},here\n" for shop in "ab" for _ in range(40)), {"time_column": None, "targets": None}, "t.csv: no column of numbers beside shop. Expected one to predict"),
    "targets that never change": ("shop,sales\n" + "a,3\n" * 40, {"time_column": None}, "t.csv, column 'sales': always the same value. Expected something to predict"),
    "a wide table that never changes": ("a,b\n" + "3,3\n" * 40, {**WIDE, "known": [], "time_column": None}, "t.csv, columns 'a', 'b': always the same value. Expected something to predict"),
    "a wide table of too little variation": ("load\n" + "".join(f"{1e9 + row % 3}\n" for row in range(40)), {**WIDE, "known": [], "time_column": None, "scaling": "standard"}, "t.csv, column 'load': varies by 0.8"),
    "a gap in a column of a wide table": (wide().replace(",1.7242,", ",,"), {**WIDE, "missing": "refuse"}, "t.csv, line 15, column 'a': no value (the only one). Expected a number"),
    "a column that a wide table has not": (wide(), {**WIDE, "targets": ["a", "d"]}, "t.csv: no column 'd'"),
    "a column that is named as one that seqkit makes": (many(header="shop,date,sales,hour sine,size,region"), {"known": ["hour sine"], "calendar": ["hour"]}, "t.csv: column 'hour sine' has a name that seqkit makes. Rename it in the file"),
    "a value without a logarithm": (changed("b,2024-01-02 08:00,-0.5,0,6,S"), {"transform": "log"}, "t.csv, line 50, column 'sales': -0.5 has no logarithm. Expected numbers above 0, or data.transform=none"),
    "a value of a wide table without a logarithm": (wide().replace(",1.7242,", ",-1,"), {**WIDE, "transform": "log"}, "t.csv, line 15, column 'a': -1 has no logarithm"),
    "a wide table of known columns only": (wide(), {**WIDE, "known": ["a", "b", "c", "hour"]}, "t.csv: no column of numbers beside a, b, c, hour. Expected one per series"),
    "a series of too little variation": ("shop,sales\n" + "".join(f"{shop},{level + row % 3}\n" for shop, level in (("a", 5), ("b", 1e9)) for row in range(40)), {"time_column": None, "scaling": "series"}, "t.csv, series 'b', column 'sales': varies by 0.8"),
    "events that are none": (many(), {"events": ["sales"], "targets": ["promo"]}, "t.csv, column 'sales': 120 different words. Expected 1 to 100, each gets a column"),
    "no such column of events": (many(), {"events": ["holiday"]}, "t.csv: no column 'holiday'"),
    "a calendar of numbers": (NUMBERS, {"calendar": ["hour"]}, "t.csv: column 'date' holds numbers. data.calendar needs dates"),
    "too little variation": ("shop,sales\n" + "".join(f"{shop},{1e9 + row % 3}\n" for shop in "ab" for row in range(40)), {"time_column": None, "scaling": "standard"}, "t.csv, column 'sales': varies by 0.8"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_table_is_refused(name):
    text, options, message = REFUSED[name]
    with pytest.raises(DataError) as refusal:
        made(text, **options)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"inputs": ["sales", "promo"], "known": ["promo"]},
            "data.known: column 'promo' is data.inputs; it cannot be both",
        ),
        ({"known": ["promo", "promo"]}, "data.known: column 'promo' is named twice"),
        ({"targets": ["shop"]}, "data.targets: column 'shop' is data.series; it cannot be both"),
        ({"time_column": "shop"}, "data.time_column: column 'shop' is data.series; it cannot be both"),
        ({"targets": []}, "data.targets=[]: name at least one column, or leave it out for all columns of numbers"),
        ({"time_column": None, "calendar": ["hour"]}, "data.calendar=[hour] needs data.time_column"),
        ({"calendar": ["tide"]}, "data.calendar"),
        ({"split": ["2024-01-02", "2024-01-03"], "time_column": None}, "a split by dates needs data.time_column"),
        (
            {"transform": "log", "scaling": "series"},
            "data.transform=log and data.scaling=series: use scaling window or",
        ),
        (
            {"transform": "log", "mirror": True},
            "data.transform=log and data.mirror=true: what is mirrored may fall below",
        ),
        (
            {"known": ["promo"], "mirror": True},
            "data.mirror=true and 'promo' known ahead: upside down it would act the",
        ),
        ({"series": None, "scaling": "series"}, "data.scaling=series needs data.series"),
        ({"wide": True}, "data.series and data.wide=true: a wide table has its series and data.known, no more"),
        ({**WIDE, "static": ["size"]}, "data.static and data.wide=true"),
        ({**WIDE, "categories": ["region"]}, "data.categories=[region]: of a wide table expected [series], its names"),
        ({**WIDE, "known": ["value"]}, "data.known: 'value' is how the values of a wide table are called"),
        ({"series": None, "static": ["size"]}, "data.static=[size] needs data.series"),
        ({"series": None, "categories": ["region"]}, "data.categories=[region] needs data.series"),
        ({"inputs": []}, "data.inputs=[]: name at least one column, or leave it out"),
    ],
)
def test_options_that_contradict_are_refused(options, message):
    Path("t.csv").write_text(many())
    with pytest.raises(ConfigError) as refusal:
        build("data", {"name": "series_table", "path": "t.csv", **OPTIONS, **options})
    assert message in str(refusal.value)


def test_a_word_among_ids_is_said(caplog):
    made(many(shops=(*map(str, range(11)), "total"), rows=24))
    assert "t.csv, line 266, column 'shop': 'total' among numbers, taken as a series of its own" in caplog.text


def test_the_parts_share_the_values_of_the_table():
    data = made(**ALL)
    for values in ("values_RI", "targets_RC"):
        assert len({getattr(data.part(split), values).data_ptr() for split in ("train", "valid", "test")}) == 1

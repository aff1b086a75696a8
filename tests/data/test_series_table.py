from itertools import chain
from pathlib import Path

import pytest
import torch

from seqkit.data.series_table import SeriesTable
from seqkit.errors import ConfigError, DataError
from seqkit.registry import build
from seqkit.specs import spec_from_json, spec_to_json
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


# --- windows


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


def test_the_spec_survives_json():
    spec = made(**ALL).spec
    assert spec_from_json(spec_to_json(spec)) == spec


def test_the_conformance_suite():
    made()
    check_data("series_table", path="t.csv", **OPTIONS, **ALL, batch_size=5)


def test_heads_on_columns_known_ahead_pass_the_conformance_suite():
    made()
    columns = "data.known=[promo] data.static=[size] data.categories=[region] data.calendar=[hour]"
    table = f"data=series_table data.path=t.csv data.series=shop data.time_column=date data.targets=[sales] {columns}"
    require(*suite(parse(f"head=quantile_forecast {table} data.lookback=8 data.horizon=2 data.batch_size=4".split())))


# --- refusals

LEFT_OUT = "\n".join(line for number, line in enumerate(many().splitlines()) if number != 50) + "\n"
UPSIDE_DOWN = "\n".join([many().splitlines()[0], *many().splitlines()[:0:-1]]) + "\n"
DAILY = "".join(f"d,2024-02-{day:02d} 00:00,1,0,5,N\n" for day in range(1, 29))
NUMBERS = "shop,date,sales\n" + "".join(f"{shop},{row},{row % 3}\n" for shop in "ab" for row in range(40))

REFUSED = {
    "a wide table": (hourly(), {"series": "load", "targets": ["heat"]}, "t.csv, column 'load': 60 different values in 60 rows, so most are no series. Expected the column that names the series of each row; data=series_csv reads a file with one column per series"),
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
        ({"past": ["promo"], "known": ["promo"]}, "data.known: column 'promo' is data.past too; it cannot be both"),
        ({"known": ["promo", "promo"]}, "data.known: column 'promo' is named twice"),
        ({"targets": ["shop"]}, "data.targets: column 'shop' is data.series too; it cannot be both"),
        ({"time_column": "shop"}, "data.time_column: column 'shop' is data.series; it cannot be both"),
        ({"targets": []}, "data.targets=[]: name at least one column to predict"),
        ({"time_column": None, "calendar": ["hour"]}, "data.calendar=[hour] needs data.time_column"),
        ({"calendar": ["tide"]}, "data.calendar"),
        ({"split": ["2024-01-02", "2024-01-03"], "time_column": None}, "a split by dates needs data.time_column"),
        ({"split": [700, 100, 200]}, "the fractions sum to 1000"),
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

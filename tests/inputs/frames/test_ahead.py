from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seqkit.errors import ConfigError, DataError
from seqkit.inputs.frames.spec import Frames
from tests.bad_files import many

NAMES = ("sales", "promo", "hour sine", "region")
FRAMES = Frames(
    NAMES, (0.0,) * 4, (1.0,) * 4, 1 / 3600, "date", series="shop",
    roles=("past", "known", "calendar", "static"), levels=((), (), (), ("N",)),
)  # fmt: skip
END = {"a": ("2024-01-02", 16), "b": ("2024-01-03", 16), "c": ("2024-01-04", 16)}


def future(changes=None, hours=3, shops=("c", "a", "b"), header="shop,date,promo"):
    """Return a CSV text of the rows to come, the hour before among them."""
    lines = [header]
    for shop in shops:
        day, first = END[shop]
        lines += [f"{shop},{day} {hour:02d}:00,{hour % 2}" for hour in range(first - 1, first + hours)]
    for number, line in (changes or {}).items():
        lines[number - 1] = line
    return "\n".join(lines) + "\n"


def latest(known=None, text=None, frames=FRAMES, lookback=8):
    Path("t.csv").write_text(many() if text is None else text)
    if known is not None:
        Path("k.csv").write_text(known)
    return frames.latest("t.csv", lookback, 2, None if known is None else "k.csv")


def test_each_series_has_its_last_rows_its_times_and_what_is_known_ahead():
    ends = latest(future())
    assert [end.about["series"] for end in ends] == ["a", "b", "c"]
    assert ends[1].about["times"] == ["2024-01-03 16:00", "2024-01-03 17:00"]
    assert ends[1].inputs.shape == (8, 4)
    assert ends[1].inputs[:, 3].tolist() == [0.0] * 8  # a region that the training part has not
    assert ends[0].inputs[:, 3].tolist() == [1.0] * 8
    assert ends[1].inputs[-1, 0].item() == pytest.approx(10 * (2 + torch.tensor(39 / 3.8).sin().item()), rel=1e-4)
    angle = torch.tensor([16.0, 17.0]) * torch.pi / 12
    assert torch.allclose(ends[1].extras["known"], torch.stack((torch.tensor([0.0, 1.0]), angle.sin()), 1), atol=1e-6)


def test_a_category_that_was_not_trained_on_is_said(caplog):
    latest(future())
    assert "t.csv, column 'region': not in the training data, and read as unknown: 'S'" in caplog.text


@pytest.mark.parametrize("step", ["1 month", "0:30:00", "1"])
def test_rows_of_another_step_are_refused(step):
    with pytest.raises(DataError, match=f"t.csv: its rows are 1:00:00 apart, those of the training data {step}."):
        latest(future(), frames=replace(FRAMES, rate=None, step=step))


def test_gaps_before_the_rows_that_are_read_are_no_matter():
    assert len(latest(future(), many({3: "a,2024-01-01 01:00,,0,5,N"}))) == 3


def test_short_series_are_left_out_and_said(caplog):
    ends = latest(future(), many() + "d,2024-01-01 00:00,1,0,5,N\n")
    assert [end.about["series"] for end in ends] == ["a", "b", "c"]
    assert "t.csv: without a forecast, having less than the 8 rows that the model reads: series 'd'" in caplog.text


def test_rows_without_times_take_the_first_that_are_known():
    frames = Frames(("sales", "promo"), (0.0,) * 2, (1.0,) * 2, series="shop", roles=("past", "known"))
    ends = latest("shop,promo\na,1\nc,3\na,2\nb,4\nb,5\nc,6\n", frames=frames)
    assert [end.extras["known"][:, 0].tolist() for end in ends] == [[1, 2], [4, 5], [3, 6]]
    assert ends[0].about == {"series": "a"}


def test_columns_of_one_series_may_stand_in_another_order():
    Path("t.csv").write_text("x,a,b\n" + "".join(f"{n},0,0\n" for n in range(9)))
    Path("k.csv").write_text("b,a\n1,2\n3,4\n")
    frames = Frames(("x", "a", "b"), (0.0,) * 3, (1.0,) * 3, roles=("past", "known", "known"))
    [end] = frames.latest("t.csv", 3, 2, "k.csv")
    assert end.extras["known"].tolist() == [[2, 1], [4, 3]]
    assert end.about == {}


def test_words_known_ahead_are_read_as_in_the_training_data(caplog):
    Path("t.csv").write_text("x,event\n" + "".join(f"{n},{'sale' if n == 7 else ''}\n" for n in range(9)))
    Path("k.csv").write_text('event\n""\nsale\nstrike\n')
    names = ("x", "event=Easter", "event=sale")
    frames = Frames(
        names, (0.0,) * 3, (1.0,) * 3, roles=("past", "known", "known"), events=(("event", ("Easter", "sale")),)
    )
    [end] = frames.latest("t.csv", 3, 3, "k.csv")
    assert end.inputs.tolist() == [[6, 0, 0], [7, 0, 1], [8, 0, 0]]
    assert end.extras["known"].tolist() == [[0, 0], [0, 1], [0, 0]]
    assert "k.csv, column 'event': 'strike' is no word of the training data; it is taken as none" in caplog.text
    with pytest.raises(ConfigError, match="known ahead \\(event\\). Give them for the rows to come"):
        frames.latest("t.csv", 3, 3)


def test_one_series_whose_known_columns_end_too_early_is_refused():
    Path("t.csv").write_text("t,x,a\n" + "".join(f"{n},{n},0\n" for n in range(9)))
    frames = Frames(("x", "a"), (0.0,) * 2, (1.0,) * 2, time_column="t", roles=("past", "known"))
    for rows, message in (("9,2\n", "k.csv, line 2: ends at 9. Expected a up to 10"), ("10,2\n", "no row for 9")):
        Path("k.csv").write_text(f"t,a\n{rows}")
        with pytest.raises(DataError, match=message):
            frames.latest("t.csv", 3, 2, "k.csv")


def test_a_series_is_scaled_by_what_is_known_of_it_and_a_new_one_by_its_rows(caplog):
    frames = Frames(("sales",), (0.0,), (1.0,), 1 / 3600, "date", series="shop")
    frames = frames.scaled_by_series((("a", (3.0,), (4.0,)), ("b", (5.0,), (6.0,))))
    a, b, c = latest(frames=frames)
    assert a.inputs[:, 1:].tolist() == [[3, 4]] * 8
    assert b.inputs[:, 1:].tolist() == [[5, 6]] * 8
    values = [100 * (2 + torch.tensor(hour / 3.8).sin().item()) for hour in range(40)]
    assert c.inputs[0, 1].item() == pytest.approx(sum(values) / 40, rel=1e-4)
    assert "t.csv: series 'c' is none of the training data; it is scaled by mean and deviation of its 40" in caplog.text


REFUSED = {
    "no file": (None, {}, ConfigError, "known ahead (promo). Give them for the rows to come, with --known FILE"),
    "a column is missing": (future(header="shop,date,price"), {}, DataError, "k.csv: no column 'promo'"),
    "the series are missing": (future(header="store,date,promo"), {}, DataError, "k.csv: no column 'shop'. Columns: store"),
    "one series is missing": (future(shops=("a", "c")), {}, DataError, "k.csv: no rows of series 'b'. Expected the next 2; it has those of 'a', 'c'"),
    "ends too early": (future(hours=1), {}, DataError, "k.csv, line 5: series 'a' ends at 2024-01-02 16:00. Expected promo up to 2024-01-02 17:00"),
    "ends before the start": (future(hours=0), {}, DataError, "k.csv, line 3: series 'a' ends at 2024-01-02 15:00. Expected promo up to 2024-01-02 17:00"),
    "starts too late": (future().replace("a,2024-01-02 15:00,1\n", "").replace("a,2024-01-02 16:00,0\n", ""), {}, DataError, "k.csv: no row of series 'a' for 2024-01-02 16:00"),
    "a cell without a value": (future({8: "a,2024-01-02 17:00,"}), {}, DataError, "k.csv, line 8, column 'promo': no value"),
    "a word": (future({8: "a,2024-01-02 17:00,yes"}), {}, DataError, "k.csv, line 8, column 'promo': 'yes' is not a number"),
    "numbers for times": ("shop,date,promo\na,1,0\na,2,0\nb,1,0\nb,2,0\nc,1,0\nc,2,0\n", {}, DataError, "k.csv, column 'date': dates in one file and numbers in the other"),
    "nothing is known ahead": (future(), {"frames": Frames(("sales",), (0.0,), (1.0,), 1 / 3600, "date", series="shop", roles=("past",))}, ConfigError, "k.csv: the model reads no columns that are known ahead"),
    "another step": (future(), {"frames": Frames(NAMES, (0.0,) * 4, (1.0,) * 4, 1 / 1800, "date", series="shop", roles=FRAMES.roles, levels=FRAMES.levels)}, DataError, "t.csv: its rows are 1:00:00 apart, those of the training data 0:30:00"),
    "no series is long enough": (future(), {"lookback": 41}, DataError, "t.csv: no series has the 41 rows that the model was trained to read"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_ahead_is_refused(name):
    known, options, kind, message = REFUSED[name]
    with pytest.raises(kind) as refusal:
        latest(known, **options)
    assert message in str(refusal.value)


def test_one_sequence_is_not_read_from_a_table_of_many():
    with pytest.raises(DataError, match="t.csv: the model reads tables of many series; use `seqkit forecast`"):
        FRAMES.read("t.csv", 8)

from pathlib import Path

import polars as pl
import pytest

from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.frames.tables import read_table


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_blanks_around_words_do_not_count_and_an_empty_cell_is_none(ending):
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0, 5.0], "day": ["", "fair", " fair ", "  ", None]})
    path = Path(f"events.{ending}")
    frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    table = read_table(path, None, ["x"], others=False, events={"day": None})
    assert table.made == ("day=fair",)
    assert table.values_RN[:, 1].tolist() == [0, 1, 1, 0, 0]


def test_an_exported_file_says_what_is_made_of_words_and_times():
    names = ("x", "day=fair", "hour sine", "hour cosine", "weekday sine", "weekday cosine")
    roles = ("past", "known", *["calendar"] * 4)
    made = Frames(names, (0.0,) * 6, (1.0,) * 6, roles=roles, events=(("day", ("fair",)),)).meaning
    assert "'X=WORD' is 1 where column X of the file holds WORD, 0 elsewhere" in made
    assert "hour of 24 (0 at midnight, with its fraction), weekday of 7 (0 on Monday)" in made
    assert "X" not in Frames(("x",), (0.0,), (1.0,)).meaning

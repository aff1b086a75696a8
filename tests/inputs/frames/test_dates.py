from datetime import UTC, datetime

import polars as pl
import pytest

from seqkit.inputs.frames.dates import date_formats, in_microseconds

NOON = datetime(2024, 12, 31, 12, 0, tzinfo=UTC)

# text of 31 December 2024, noon where it says a time: the formats it may have
WRITTEN = {
    "31.12.2024": ["%d.%m.%Y"], "31/12/2024": ["%d/%m/%Y"], "12/31/2024": ["%m/%d/%Y"], "2024/12/31": ["%Y/%m/%d"], "31.12.24": ["%d.%m.%y"],
    "12/31/24 12:00 PM": ["%m/%d/%y %I:%M %p"], "31.12.2024 12:00": ["%d.%m.%Y %H:%M"], "31.12.2024 12:00:00.0": ["%d.%m.%Y %H:%M:%S%.f"],
    "31-Dec-2024": ["%d-%b-%Y"], "Dec 31, 2024": ["%b %d, %Y"], "31 December 2024 12:00": ["%d %B %Y %H:%M"], "24/12/31": ["%y/%m/%d"],
}  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN)
def test_a_date_has_one_reading_where_its_numbers_say_so(text):
    column = pl.Series([text])
    read = {format: in_microseconds(column, format)[0] for format in date_formats(text)}
    day = NOON if ":" in text else NOON.replace(hour=0)
    assert [format for format, at in read.items() if at == int(day.timestamp() * 1e6)] == WRITTEN[text]


@pytest.mark.parametrize(
    "text", ["", "noon", "12:30", "2024", "31.12", "1.2.3.4", "31.12.2024 noon", "12/31/2024x", "1,5"]
)
def test_other_text_is_no_date(text):
    assert date_formats(text) == ()


@pytest.mark.parametrize(("text", "formats"), [
    ("03/04/2024", ("%d/%m/%Y", "%m/%d/%Y")), ("03-04-2024", ("%d-%m-%Y", "%m-%d-%Y")),
    ("03/04/05", ("%d/%m/%y", "%m/%d/%y", "%y/%m/%d")), ("03.04.2024", ("%d.%m.%Y",)),
])  # fmt: skip
def test_which_number_is_the_day_can_be_open(text, formats):
    assert date_formats(text) == formats


def test_a_year_has_four_digits():
    assert in_microseconds(pl.Series(["03/04/24", None]), "%d/%m/%Y").to_list() == [None, None]

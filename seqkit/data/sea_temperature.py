"""Sea surface temperature off Maine, shipped with seqkit."""

from pathlib import Path

from pydantic import PositiveInt

from seqkit.data.series_table import SeriesTable
from seqkit.registry import register_data

SAMPLE = Path(__file__).parent / "samples" / "sea_temperature.csv.gz"


@register_data("sea_temperature")
def sea_temperature(
    *,
    lookback: PositiveInt = 336,
    horizon: PositiveInt = 24,
    split: list[float] | list[int] | list[str] = [0.4, 0.1, 0.5],  # noqa: B006  never written to
    season: PositiveInt = 48,
    train_rows: PositiveInt | None = None,
    fold: list[int] | None = None,
    stride: PositiveInt = 1,
    mirror: bool = False,
    batch_size: PositiveInt = 64,
) -> SeriesTable:
    """Sea surface temperature off Maine: 19,226 half-hourly readings of 2016 and 2017, shipped with seqkit.

    Station B01, Western Maine Shelf, of NERACOOS; free to use and redistribute, see
    ``seqkit/data/samples/sea_temperature.LICENSE.txt``. 24 half hours have no reading (14 June 2016 at 13:30, 8 July
    2016 from 02:00 to 13:00), all in the training part by default: they are interpolated. Of the two readings at 16:30
    on 21 March 2017 the first is kept.

    Half of the rows are for testing, so that autumn is among them: in winter the water is mixed, and hardly anything
    predicts its temperature better than the last reading.

    Args:
        lookback: Half hours the model reads before the first predicted one.
        horizon: Half hours to predict.
        split: Training, validation and test part: three fractions, three row counts, or the two dates on which
            validation and test start.
        season: Half hours of one period of the seasonal naive forecast.
        train_rows: Last half hours of the training part that are trained on; all of it if left out.
        fold: Fold of a backtest and how many there are, [0,5]: all parts end at its origin; set by `seqkit backtest`.
        stride: Half hours between the starts of neighbouring training windows.
        mirror: Also train on every window upside down, so that the warming of spring is not learnt as a rule.
        batch_size: Windows per batch.
    """
    return SeriesTable(
        path=str(SAMPLE),
        time_column="time (UTC)",
        lookback=lookback,
        horizon=horizon,
        split=split,
        season=season,
        missing="interpolate",
        repeats="first",
        train_rows=train_rows,
        fold=fold,
        stride=stride,
        mirror=mirror,
        batch_size=batch_size,
    )

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.report.text import csv_text
from seqkit.tasks.forecast.metrics import ForecastMetrics
from seqkit.tasks.forecast.prediction import SeriesPrediction
from seqkit.tasks.forecast.spec import Series


def test_each_series_has_its_own_errors_in_units_of_its_own():
    series = Series(2, ("x",), (0.0,), (1.0,), members=("a", "b", "c"))
    metric = ForecastMetrics(series)
    naive = torch.tensor([[[2.0, 4.0]], [[0.5, 1.0]], [[2.0, 4.0]]])
    targets = torch.tensor([[[1.0], [2.0]], [[10.0], [20.0]], [[3.0], [3.0]]])
    extras = {"series": torch.tensor([0, 2, 0]), "naive": naive[[0, 1, 2]]}
    batch = Batch(torch.zeros(3, 4, 1), targets=targets, extras=extras)
    metric.update(SeriesPrediction(torch.tensor([[[2.0], [2.0]], [[12.0], [20.0]], [[3.0], [6.0]]])), batch)
    errors = metric.errors()
    assert errors["series"] == ["a", "c"]  # of b nothing was scored
    assert errors["target"] == ["x", "x"]
    assert errors["steps"] == [4, 2]
    assert errors["mae"] == [1.0, 1.0]
    assert errors["rmse"] == pytest.approx([(10 / 4) ** 0.5, 2**0.5])
    assert errors["mase"] == [(0.5 + 0 + 0 + 1.5) / 4, 2.0]
    assert errors["rmsse"] == pytest.approx([((1 / 16 + 9 / 16) / 4) ** 0.5, 2**0.5])
    assert metric.compute()["mase"] == pytest.approx((0.5 + 4 + 1.5) / 6)


def test_the_columns_of_one_series_have_theirs():
    series = Series(1, ("x", "y"), (0.0, 0.0), (1.0, 2.0), naive=((1.0, 1.0), (0.0, 0.0)))
    metric = ForecastMetrics(series)
    metric.update(
        SeriesPrediction(torch.tensor([[[1.0, 4.0]]])), Batch(torch.zeros(1, 3, 2), targets=torch.zeros(1, 1, 2))
    )
    errors = metric.errors()
    assert "series" not in errors
    assert (errors["target"], errors["mae"]) == (["x", "y"], [1.0, 4.0])
    assert csv_text(errors).splitlines()[2] == "y,1,4,4,200,,"  # without a unit of MASE
    assert list(series.tables(metric)) == ["errors"]
    assert Series(1, ("x",), (0.0,), (1.0,)).tables(metric) == {}

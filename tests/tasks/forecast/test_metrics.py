import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.tasks.forecast.metrics import ForecastMetrics
from seqkit.tasks.forecast.prediction import SeriesPrediction
from seqkit.tasks.forecast.spec import Series

# B batch, F steps of the forecast, C target channels


def scored(series, pairs):
    scores = ForecastMetrics(series.names, series.scale)
    for outputs, targets in pairs:
        scores.update(SeriesPrediction(series.in_units(outputs, Batch(targets))), Batch(targets, targets=targets))
    return {name: value.item() for name, value in scores.compute().items()}


def test_one_target_is_also_scored_in_the_units_of_the_data():
    series = Series(2, ("t",), (10.0,), (4.0,))
    targets = torch.tensor([[[10.0], [18.0]]])  # 0 and 2 deviations
    assert scored(series, [(torch.tensor([[[1.0], [0.0]]]), targets)]) == pytest.approx(
        {"mse": (1 + 4) / 2, "mae": 3 / 2, "mse_raw": (16 + 64) / 2, "mae_raw": (4 + 8) / 2}
    )


def test_of_several_targets_each_has_its_error_in_its_units():
    series = Series(1, ("a", "b"), (0.0, 0.0), (2.0, 10.0))
    targets = torch.tensor([[[2.0, 30.0]]])  # 1 and 3 deviations
    assert scored(series, [(torch.zeros(1, 1, 2), targets)]) == pytest.approx(
        {"mse": (1 + 9) / 2, "mae": 2, "mae_raw_a": 2, "mae_raw_b": 30}
    )


def test_plain_units_are_scored_once():
    assert set(scored(Series(1, ("sum",), (1.0,), (1.0,)), [(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))])) == {
        "mse",
        "mae",
    }


def test_scores_do_not_depend_on_the_batch_size():
    torch.manual_seed(0)
    series = Series(3, ("a", "b"), (1.0, 2.0), (3.0, 4.0))
    outputs, targets = torch.randn(50, 3, 2), torch.randn(50, 3, 2)
    whole = scored(series, [(outputs, targets)])
    error = (outputs - (targets - torch.tensor([1.0, 2.0])) / torch.tensor([3.0, 4.0])).double()
    assert whole["mse"] == pytest.approx(error.square().mean().item(), rel=1e-6)
    assert whole["mae"] == pytest.approx(error.abs().mean().item(), rel=1e-6)
    for size in (1, 7, 49):
        pairs = zip(outputs.split(size), targets.split(size), strict=True)
        assert scored(series, pairs) == pytest.approx(whole, rel=1e-12)


def test_sums_are_kept_in_float64():
    scores = ForecastMetrics(("a",), (1.0,))
    assert scores.squares_C.dtype == scores.absolutes_C.dtype == torch.float64

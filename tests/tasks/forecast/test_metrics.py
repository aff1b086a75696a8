import numpy as np
import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.tasks.forecast.metrics import ForecastMetrics
from seqkit.tasks.forecast.prediction import SeriesPrediction
from seqkit.tasks.forecast.spec import Series

# B batch, F steps of the forecast, C target channels


def scored(series, pairs):
    scores = ForecastMetrics(series)
    for outputs, targets in pairs:
        scores.update(SeriesPrediction(series.in_units(outputs, Batch(targets))), Batch(targets, targets=targets))
    return {name: value.item() for name, value in scores.compute().items()}


def test_one_target_is_also_scored_in_the_units_of_the_data():
    series = Series(2, ("t",), (10.0,), (4.0,))
    targets = torch.tensor([[[10.0], [18.0]]])  # 0 and 2 deviations
    assert scored(series, [(torch.tensor([[[1.0], [0.0]]]), targets)]) == pytest.approx(
        {
            "mse": (1 + 4) / 2, "mae": 3 / 2, "mse_raw": (16 + 64) / 2, "mae_raw": (4 + 8) / 2, "rmse": 2.5**0.5,
            "smape": 100 * (2 * 4 / 24 + 2 * 8 / 28) / 2,
        }
    )  # fmt: skip


def test_of_several_targets_each_has_its_error_in_its_units():
    series = Series(1, ("a", "b"), (0.0, 0.0), (2.0, 10.0))
    targets = torch.tensor([[[2.0, 30.0]]])  # 1 and 3 deviations
    found = scored(series, [(torch.zeros(1, 1, 2), targets)])
    assert found == pytest.approx(
        {"mse": (1 + 9) / 2, "mae": 2, "rmse": 5**0.5, "smape": 200, "mae_raw_a": 2, "mae_raw_b": 30}
    )


def test_of_many_targets_there_is_no_score_each():
    names = tuple(f"t{number}" for number in range(9))
    series = Series(1, names, (0.0,) * 9, (2.0,) * 9)
    assert set(scored(series, [(torch.zeros(1, 1, 9), torch.ones(1, 1, 9))])) == {"mse", "mae", "rmse", "smape"}


def test_plain_units_are_scored_once():
    found = scored(Series(1, ("sum",), (1.0,), (1.0,)), [(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))])
    assert set(found) == {"mse", "mae", "rmse", "smape"}


def test_errors_relative_to_the_seasonal_naive_ones():
    """The second target never differs from its last season, so that it has no unit and is left out."""
    series = Series(2, ("a", "b"), (0.0, 0.0), (1.0, 1.0), naive=((2.0, 4.0), (0.0, 0.0)))
    outputs, targets = torch.zeros(1, 2, 2), torch.tensor([[[1.0, 7.0], [-3.0, 7.0]]])
    found = scored(series, [(outputs, targets)])
    assert found["mase"] == pytest.approx((1 / 2 + 3 / 2) / 2)
    assert found["rmsse"] == pytest.approx(((1 / 16 + 9 / 16) / 2) ** 0.5)


def test_two_zeros_have_no_percentage_error():
    series = Series(1, ("a",), (0.0,), (1.0,))
    assert scored(series, [(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))])["smape"] == 0


SERIES = Series(1, ("a",), (1.0,), (2.0,))


def of_quantiles(quantiles, levels, targets, series=SERIES):
    scores = ForecastMetrics(series)
    quantiles_BFCQ = torch.tensor(quantiles, dtype=torch.float64).view(len(targets), 1, 1, -1)
    targets_BFC = torch.tensor(targets, dtype=torch.float64).view(-1, 1, 1)
    prediction = SeriesPrediction(quantiles_BFCQ[..., len(levels) // 2], quantiles_BFCQ, levels)
    scores.update(prediction, Batch(targets_BFC, targets=targets_BFC))
    return {name: value.item() for name, value in scores.compute().items()}


def test_intervals_and_their_pinball_loss():
    found = of_quantiles([[0, 4, 10], [0, 4, 10]], (0.05, 0.5, 0.95), [6, 12])
    assert found["coverage_90"] == 0.5
    assert found["width_90"] == pytest.approx(10 / 2)
    inside = (0.05 * 6 + 0.5 * 2 + 0.05 * 4) / 2  # of the target 6, in deviations
    outside = (0.05 * 12 + 0.5 * 8 + 0.95 * 2) / 2
    assert found["pinball"] == pytest.approx((inside + outside) / 2 / 3)


def test_an_interval_of_other_levels_has_its_own_name():
    assert {"coverage_60", "width_60"} <= set(of_quantiles([[0, 1]], (0.2, 0.8), [3]))
    assert not [name for name in of_quantiles([[0, 1]], (0.2, 0.9), [3]) if name.startswith("coverage")]


@pytest.mark.parametrize("target", [-3.0, 0.0, 1.3, 4.0, 7.9, 25.0])
def test_crps_is_the_integral_of_the_squared_difference(target):
    quantiles, levels = [0.0, 4.0, 4.0, 10.0], (0.1, 0.3, 0.5, 0.95)
    x = torch.linspace(-5, 30, 700_001, dtype=torch.float64)
    share = torch.tensor(np.interp(x.numpy(), quantiles, levels, left=0, right=1))
    due = torch.trapezoid((share - (x >= target).double()).square(), x) / 2  # in deviations
    assert of_quantiles([quantiles], levels, [target])["crps"] == pytest.approx(due.item(), abs=1e-4)


def test_crps_of_a_normal_distribution_is_near_its_closed_form():
    levels = tuple(((torch.arange(200) + 0.5) / 200).tolist())
    quantiles = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64))
    found = of_quantiles([quantiles.tolist()], levels, [0.0], Series(1, ("a",), (0.0,), (1.0,)))
    assert found["crps"] == pytest.approx(2 / (2 * torch.pi) ** 0.5 - 1 / torch.pi**0.5, abs=2e-3)


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
    scores = ForecastMetrics(Series(1, ("a",), (0.0,), (1.0,)))
    assert scores.squares_C.dtype == scores.absolutes_C.dtype == torch.float64

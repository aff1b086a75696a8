import pytest
import torch

from seqkit.tasks.forecast.quantile_functions import negative_binomial_quantiles, student_t_quantiles


def test_quantiles_of_students_t():
    """Two degrees have a formula, x = (2 p - 1) / sqrt(2 p (1 - p)); the others are those of printed tables."""
    found = student_t_quantiles(torch.tensor([[2.0, 5.0], [30.0, 1e3]]), (0.05, 0.5, 0.95, 0.99))
    assert found.shape == (2, 2, 4)
    due = [[-2.919986, 0, 2.919986, 6.964557], [-2.015048, 0, 2.015048, 3.364930],
           [-1.697261, 0, 1.697261, 2.457262], [-1.646379, 0, 1.646379, 2.330083]]  # fmt: skip
    for own, expected in zip(found.view(4, 4).tolist(), due, strict=True):
        assert own == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_quantiles_of_small_counts_are_exact():
    """Of one failure, a geometric distribution: F(k) = 1 - (m / (1 + m))^(k + 1)."""
    mean = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
    levels = (0.01, 0.3, 0.5, 0.7, 0.95, 0.99)
    found = negative_binomial_quantiles(mean, torch.ones(3), levels)
    for own, odds in zip(found.tolist(), mean.tolist(), strict=True):
        due = [next(k for k in range(100) if 1 - (odds / (1 + odds)) ** (k + 1) >= level) for level in levels]
        assert own == due


@pytest.mark.parametrize(("mean", "dispersion"), [(1e3, 1e-3), (1e3, 5.0), (1e6, 0.1), (40.0, 1e-3)])
def test_quantiles_of_large_counts_agree_with_a_sum_over_all(mean, dispersion):
    levels = (0.05, 0.5, 0.95)
    found = negative_binomial_quantiles(torch.tensor([mean]), torch.tensor([dispersion]), levels)[0]
    draws = torch.distributions.NegativeBinomial(
        torch.tensor(1 / dispersion, dtype=torch.float64), logits=torch.tensor(mean * dispersion).double().log()
    )
    largest = int(mean + 12 * (mean + dispersion * mean**2) ** 0.5)
    cumulated = draws.log_prob(torch.arange(largest, dtype=torch.float64)).exp().cumsum(0)
    due = torch.searchsorted(cumulated, torch.tensor(levels, dtype=torch.float64))
    deviation = (mean + dispersion * mean**2) ** 0.5
    assert (found - due).abs().max() <= max(1, 0.01 * deviation)

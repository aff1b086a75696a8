import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.tasks.forecast.adaptive import RATES, Adaptive, interpolated
from seqkit.tasks.forecast.conformal import best_rate
from seqkit.tasks.forecast.prediction import SeriesPrediction

LEVELS = (0.05, 0.5, 0.95)
NORMAL = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64))


def windows(count, horizon=4, scale=1.0, seed=0):
    """Return the quantiles of a standard normal distribution, and targets that have another deviation."""
    draw = torch.Generator().manual_seed(seed)
    targets_NFC = scale * torch.randn(count, horizon, 1, generator=draw, dtype=torch.float64)
    return NORMAL.expand(count, horizon, 1, 3), targets_NFC


def coverage(quantiles_NFCQ, targets_NFC):
    return float(((quantiles_NFCQ[..., 0] <= targets_NFC) & (targets_NFC <= quantiles_NFCQ[..., -1])).double().mean())


@pytest.mark.parametrize("scale", [0.4, 1.6])
def test_intervals_that_are_too_wide_or_too_narrow_come_to_cover_what_they_say(scale):
    quantiles_NFCQ, targets_NFC = windows(4000, scale=scale)
    assert abs(coverage(quantiles_NFCQ, targets_NFC) - 0.9) > 0.09
    adapted_NFCQ = Adaptive(0.01, LEVELS).walk(quantiles_NFCQ, targets_NFC)
    assert coverage(adapted_NFCQ[2000:], targets_NFC[2000:]) == pytest.approx(0.9, abs=0.015)


def test_the_rule_of_gibbs_and_candes_step_by_step():
    quantiles_NFCQ, targets_NFC = windows(20, horizon=3)
    found_NFCQ = Adaptive(0.1, LEVELS).walk(quantiles_NFCQ, targets_NFC)
    levels_Q = torch.tensor(LEVELS, dtype=torch.float64)
    moved_NQ = [levels_Q]
    for number in range(20):  # an error counts three windows later
        move_Q = torch.zeros(3, dtype=torch.float64)
        if number >= 3:
            below_Q = (targets_NFC[number - 3] <= found_NFCQ[number - 3, :, 0]).double().mean(0)
            move_Q = 0.1 * (levels_Q - below_Q)
        moved_NQ.append(moved_NQ[-1] + move_Q)
    expected_NQ = torch.special.ndtri(torch.stack(moved_NQ[1:]).clamp(0.001, 0.999))  # of a normal distribution
    torch.testing.assert_close(found_NFCQ, expected_NQ.sort(-1).values[:, None, None].expand(20, 3, 1, 3))
    assert not torch.equal(found_NFCQ[3], found_NFCQ[2])


def test_a_window_is_not_changed_by_its_own_rows_nor_by_rows_not_seen_yet():
    quantiles_NFCQ, targets_NFC = windows(30)
    others_NFC = targets_NFC.clone()
    others_NFC[20:] = 100.0  # window 24 is the first that starts after a row of window 20 has been seen whole
    found, other = (Adaptive(0.05, LEVELS).walk(quantiles_NFCQ, one) for one in (targets_NFC, others_NFC))
    assert torch.equal(found[:24], other[:24])
    assert not torch.equal(found[24], other[24])


@pytest.mark.parametrize("size", [1, 3, 7, 64])
def test_batches_of_any_size_give_the_same_to_the_bit_each_series_by_itself(size):
    quantiles_NFCQ, targets_NFC = windows(60, scale=2.0)
    series_N = torch.tensor([0] * 35 + [1] * 25)
    whole = [Adaptive(0.02, LEVELS).walk(quantiles_NFCQ[series_N == s], targets_NFC[series_N == s]) for s in (0, 1)]
    adaptive, found = Adaptive(0.02, LEVELS), []
    for start in range(0, 60, size):
        rows = slice(start, start + size)
        prediction = SeriesPrediction(quantiles_NFCQ[rows][..., 1], quantiles_NFCQ[rows], LEVELS)
        batch = Batch(
            torch.zeros(len(series_N[rows]), 1, 1), targets=targets_NFC[rows], extras={"series": series_N[rows]}
        )
        found.append(adaptive(prediction, batch).quantiles_BFCQ)
    assert torch.equal(torch.cat(found), torch.cat(whole))


def test_levels_between_and_beyond_those_given_follow_the_normal_distribution():
    wanted = torch.tensor([0.01, 0.2, 0.99], dtype=torch.float64)
    found = interpolated(2 + 3 * NORMAL.expand(1, 1, 1, 3), torch.tensor(LEVELS, dtype=torch.float64), wanted)
    torch.testing.assert_close(found.flatten(), 2 + 3 * torch.special.ndtri(wanted))


def test_the_rate_is_the_best_of_the_validation_part():
    def chosen(scale):
        """Return the rate for values of which the second half has another deviation."""
        base_NFCQ, targets_NFC = windows(1200, scale=1.0)
        targets_NFC[600:] *= scale
        ones = torch.ones(1200, 1, 1, 1)
        return best_rate(LEVELS, base_NFCQ[..., 1:2].float(), targets_NFC.float(), ones, torch.zeros(1200))

    assert chosen(1.0) in RATES[:2]
    assert chosen(0.3) == RATES[-1]

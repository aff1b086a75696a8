import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.inputs.frames.spec import Frames
from seqkit.tasks.forecast.conformal import (
    LEVELS,
    conformal_quantiles,
    residual_quantiles,
    shifted,
    spread,
    window_deviations,
)
from seqkit.tasks.forecast.prediction import SeriesPrediction
from seqkit.tasks.forecast.spec import Series

# N windows, F steps of the forecast, C target columns, Q quantiles

SERIES = Series(2, ("a", "b"), (5.0, 0.0), (2.0, 1.0))
SPEC = DataSpec(Frames(("a", "b"), (5.0, 0.0), (2.0, 1.0)), SERIES)


class Draws:
    """A series of windows that are exchangeable: the values are independent draws about what is read."""

    def __init__(self, size=2000):
        draw = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(3 * size, 6, 2, generator=draw)
        noise = torch.randn(3 * size, 2, 2, generator=draw) * torch.tensor([[1.0, 3.0], [2.0, 0.1]])
        self.targets = self.inputs[:, -1:] + noise.exp()  # skewed, and of another scale at each step and target
        self.size = size

    def part(self, split):
        start = {"train": 0, "valid": 1, "test": 2}[split] * self.size
        return range(start, start + self.size)

    def collate(self, samples):
        return Batch(self.inputs[samples], targets=self.targets[samples])


def last(batch):
    return SeriesPrediction(batch.inputs[:, -1:].expand(-1, 2, -1).double())


def too_narrow(batch):
    values = last(batch).values_BFC
    return SeriesPrediction(values, values[..., None] + torch.tensor([-0.1, 0.0, 0.1]), (0.05, 0.5, 0.95))


@pytest.mark.parametrize("predict", [last, too_narrow])
def test_intervals_of_exchangeable_windows_cover_what_they_say(predict):
    data = Draws()
    levels, shifts_FCQ = residual_quantiles(predict, SERIES, [0, 1], data)
    batch = data.collate([*data.part("test")])
    quantiles_BFCQ = shifted(predict(batch), SERIES, [0, 1], batch, levels, shifts_FCQ).quantiles_BFCQ
    low_BFC, high_BFC = (quantiles_BFCQ[..., levels.index(level)] for level in (0.05, 0.95))
    inside_FC = ((low_BFC <= batch.targets) & (batch.targets <= high_BFC)).double().mean(0)
    assert inside_FC.flatten().tolist() == pytest.approx([0.9] * 4, abs=0.03)  # each step and target by itself
    assert (quantiles_BFCQ.diff(dim=-1) >= 0).all()


def test_ranks_count_the_unknown_residual_and_round_outwards():
    residuals = torch.arange(1.0, 40.0)[:, None, None, None]  # 39 of them: the ranks are 40 times the level
    found = conformal_quantiles(residuals, (0.01, 0.05, 0.49, 0.5, 0.51, 0.95, 0.99))
    assert found.flatten().tolist() == [1, 2, 19, 20, 21, 38, 39]


def test_each_quantile_has_the_residuals_of_its_own():
    residuals = torch.stack((torch.arange(1.0, 40.0), torch.arange(101.0, 140.0)), -1)[:, None, None]
    assert conformal_quantiles(residuals, (0.05, 0.95)).flatten().tolist() == [2, 138]


def test_quantiles_that_cross_after_the_shift_are_put_in_order():
    prediction = SeriesPrediction(torch.zeros(1, 1, 1), torch.tensor([[[[0.0, 1.0]]]]), (0.05, 0.95))
    series = Series(1, ("a",), (0.0,), (1.0,))
    found = shifted(prediction, series, None, Batch(torch.zeros(1, 1, 1)), (0.05, 0.95), torch.tensor([[[2.0, -2.0]]]))
    assert found.quantiles_BFCQ.flatten().tolist() == [-1, 2]


def test_few_windows_are_spread_over_the_part_in_order():
    data = Draws(10)
    seen = torch.cat([batch.inputs for batch in spread(data, "valid", 4)])
    assert torch.equal(seen, data.inputs[[10, 13, 16, 19]])
    assert sum(len(batch) for batch in spread(data, "valid", 100, size=3)) == 10


def test_a_calibrated_series_corrects_its_predictions_and_equals_the_one_before():
    data = Draws()
    series = SERIES.calibrated(SPEC, data, last)
    assert series == SERIES
    assert series.levels == LEVELS
    batch = data.collate([*data.part("test")])
    assert SERIES.corrected(last(batch), batch, [0, 1]).quantiles_BFCQ is None
    quantiles_BFCQ = series.corrected(last(batch), batch, [0, 1]).quantiles_BFCQ
    assert quantiles_BFCQ.shape == (2000, 2, 2, len(LEVELS))
    levels, shifts_FCQ = residual_quantiles(last, SERIES, [0, 1], data)
    torch.testing.assert_close(
        quantiles_BFCQ, shifted(last(batch), SERIES, [0, 1], batch, levels, shifts_FCQ).quantiles_BFCQ
    )


def test_intervals_are_as_wide_as_the_window_is_restless():
    inputs = torch.tensor([[[5.0], [9.0], [7.0]], [[5.0], [5.0], [5.0]]])
    series = Series(1, ("a",), (5.0,), (2.0,))
    deviation = inputs[0].std(correction=0).item() / 2
    found = window_deviations(series, [0], Batch(inputs)).flatten().tolist()
    assert found == pytest.approx([deviation, 0.01])
    padded = Batch(torch.cat((inputs, torch.full((2, 2, 1), 77.0)), 1), torch.tensor([3, 3]))
    assert window_deviations(series, [0], padded).flatten().tolist() == pytest.approx(found)
    assert window_deviations(series, None, padded).flatten().tolist() == [1]


@pytest.mark.parametrize(("windows", "warned"), [(18, True), (19, False)])
def test_an_interval_of_too_few_windows_is_said_to_be_too_narrow(windows, warned, caplog):
    SERIES.calibrated(SPEC, Draws(windows), last)
    words = "the validation part has 18 windows; an interval of 90 % needs 19 or more"
    assert (words in caplog.text) == ("or a smaller data.eval_stride or data.horizon" in caplog.text) == warned

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.tasks.forecast.quantile import QuantileForecast
from seqkit.tasks.forecast.spec import Series

SPEC = DataSpec(Frames(("a", "b"), (1.0, 2.0), (2.0, 4.0)), Series(3, ("b",), (2.0,), (4.0,), lookback=5))


@pytest.mark.parametrize("levels", [[0.5], [0.1, 0.2], [0.05, 0.25, 0.5, 0.75, 0.95]])
def test_quantiles_never_cross(levels):
    torch.manual_seed(0)
    head = QuantileForecast(6, SPEC, True, quantiles=levels)
    outputs = head(100 * torch.randn(50, 5, 6), None, batch := Batch(torch.randn(50, 5, 2)))
    assert outputs.shape == (50, 3, 1, len(levels))
    assert (outputs.diff(dim=-1) >= 0).all()
    assert (head.predict(outputs, None, batch).quantiles_BFCQ.diff(dim=-1) >= 0).all()


def test_the_middle_one_starts_at_the_last_value_and_is_the_forecast():
    head = QuantileForecast(6, SPEC, True, quantiles=[0.1, 0.5, 0.9])
    torch.nn.init.zeros_(head.output.weight)
    torch.nn.init.zeros_(head.output.bias)
    batch = Batch(torch.randn(4, 5, 2))
    prediction = head.predict(head(torch.zeros(4, 5, 6), None, batch), None, batch)
    due_BFC = batch.inputs[:, -1:, 1:].double().expand(4, 3, 1)
    torch.testing.assert_close(prediction.values_BFC, due_BFC, rtol=1e-5, atol=1e-5)
    assert torch.equal(prediction.quantiles_BFCQ[..., 1], prediction.values_BFC)
    assert prediction.levels == (0.1, 0.5, 0.9)


def test_the_loss_is_the_summed_pinball_loss_in_deviations():
    head = QuantileForecast(6, SPEC, True, quantiles=[0.1, 0.5, 0.9])
    outputs = torch.tensor([0.0, 1.0, 2.0]).expand(1, 3, 1, 3)
    targets = torch.tensor([[[2.0], [4.0], [14.0]]])  # 0, 0.5 and 3 deviations
    total, count = head.loss(outputs, None, Batch(torch.zeros(1, 5, 2), targets=targets))
    due = (0 + 0.5 * 1 + 0.1 * 2) + (0.1 * 0.5 + 0.5 * 0.5 + 0.1 * 1.5) + (0.1 * 3 + 0.5 * 2 + 0.9 * 1)
    assert (total.item(), count) == (pytest.approx(due), 9)


def test_the_minimum_of_the_loss_is_at_the_quantiles():
    """Of numbers that the network cannot tell apart."""
    torch.manual_seed(0)
    head = QuantileForecast(1, SPEC, True, quantiles=[0.1, 0.5, 0.9], anchor="zero")
    values = torch.rand(2000, 3, 1)
    batch = Batch(torch.zeros(2000, 1, 2), targets=values * 4 + 2)  # between 0 and 1 deviation
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(300):
        outputs = head(torch.zeros(2000, 1, 1), None, batch)
        total, count = head.loss(outputs, None, batch)
        optimizer.zero_grad()
        (total / count).backward()
        optimizer.step()
    assert outputs[0].flatten().tolist() == pytest.approx([0.1, 0.5, 0.9] * 3, abs=0.05)


@pytest.mark.parametrize("levels", [[], [0.5, 0.1], [0.5, 0.5], [0.0, 0.5], [0.5, 1.0]])
def test_quantiles_that_are_none_are_refused(levels):
    with pytest.raises(ConfigError, match=r"head\.quantiles=\[.*\]: expected probabilities between 0 and 1, rising"):
        QuantileForecast(6, SPEC, True, quantiles=levels)

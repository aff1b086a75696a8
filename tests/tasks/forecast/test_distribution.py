import math
from dataclasses import replace

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.tasks.forecast.conformal import LEVELS
from seqkit.tasks.forecast.distribution import DistributionForecast
from seqkit.tasks.forecast.spec import Series

SPEC = DataSpec(Frames(("a",), (3.0,), (2.0,)), Series(2, ("a",), (3.0,), (2.0,), lookback=5, counts=(True,)))
KINDS = "gaussian", "student_t", "negative_binomial"


def head_of(kind, spec=SPEC):
    torch.manual_seed(0)
    return DistributionForecast(6, spec, True, distribution=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_and_values_are_those_of_its_own_samples(kind):
    head = head_of(kind)
    batch = Batch(torch.rand(1, 5, 1) * 9)
    with torch.no_grad():
        outputs = head(torch.randn(1, 5, 6), None, batch)
        prediction = head.predict(outputs, None, batch)
        drawn_SF = head.samples(outputs, batch, 40_000)[:, 0, :, 0]
    assert (prediction.quantiles_BFCQ.diff(dim=-1) >= 0).all()
    scale_F = drawn_SF.std(0)
    assert ((drawn_SF.mean(0) - prediction.values_BFC[0, :, 0]).abs() < 0.05 * scale_F).all()
    for place, level in enumerate(LEVELS):
        quantile_F = prediction.quantiles_BFCQ[0, :, 0, place]
        at_most_F = (drawn_SF <= quantile_F).double().mean(0)
        below_F = (drawn_SF < quantile_F).double().mean(0)
        assert (below_F <= level + 0.015).all(), level
        assert (at_most_F >= level - 0.015).all(), level


def test_the_loss_of_a_gaussian_is_its_negative_log_likelihood():
    outputs = torch.tensor([[[[1.0, 0.5]], [[0.0, 2.0]]]])
    batch = Batch(torch.zeros(1, 5, 1), targets=torch.tensor([[[3.0], [5.0]]]))  # 0 and 1 deviation
    total, count = head_of("gaussian").loss(outputs, None, batch)
    due = (1 / 0.5) ** 2 / 2 + math.log(0.5) + (1 / 2) ** 2 / 2 + math.log(2) + math.log(2 * math.pi)
    assert (total.item(), count) == (pytest.approx(due), 2)


def test_the_loss_of_a_negative_binomial_is_its_negative_log_likelihood():
    """Of 1 failure, a geometric distribution: p(k) = 0.25 * 0.75^k has the mean 3."""
    outputs = torch.tensor([[[[3.0, 1.0]], [[3.0, 1.0]]]])
    batch = Batch(torch.zeros(1, 5, 1), targets=torch.tensor([[[0.0], [4.0]]]))
    total, _ = head_of("negative_binomial").loss(outputs, None, batch)
    assert total.item() == pytest.approx(-2 * math.log(0.25) - 4 * math.log(0.75), rel=1e-5)


def test_the_mean_of_counts_is_positive_and_near_the_forecast_where_that_is_large():
    head = head_of("negative_binomial")
    torch.nn.init.zeros_(head.output.weight)
    torch.nn.init.zeros_(head.output.bias)
    inputs = torch.tensor([0.0, 100.0])[:, None, None].expand(2, 5, 1)
    mean_BF = head(torch.zeros(2, 5, 6), None, Batch(inputs))[:, :, 0, 0]
    assert mean_BF[0].tolist() == pytest.approx([2 * math.log(2)] * 2)
    assert mean_BF[1].tolist() == pytest.approx([100] * 2)


@pytest.mark.parametrize("counts", [(False,), ()])
def test_a_negative_binomial_of_no_counts_is_refused(counts):
    spec = DataSpec(SPEC.inputs, replace(SPEC.task, counts=counts))
    with pytest.raises(ConfigError) as caught:
        head_of("negative_binomial", spec)
    assert str(caught.value) == (
        "head.distribution=negative_binomial needs whole numbers from 0; target 'a' has others. "
        "Use gaussian or student_t"
    )

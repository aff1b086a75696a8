import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.tasks.forecast.head import Forecast
from seqkit.tasks.forecast.spec import Series

FRAMES = Frames(("sales", "promo"), (10.0, 0.5), (5.0, 0.5), roles=("past", "known"))
SPEC = DataSpec(FRAMES, Series(3, ("sales",), (10.0,), (5.0,)))


@pytest.fixture
def head():
    torch.manual_seed(0)
    return Forecast(4, SPEC, True).eval()


def batch(known_F):
    return Batch(torch.ones(1, 5, 2), extras={"known": torch.tensor(known_F)[None, :, None]})


def test_a_step_depends_on_what_is_known_of_it_alone(head):
    y = torch.randn(1, 5, 4)
    plain, other = head(y, None, batch([0.0, 0.0, 0.0])), head(y, None, batch([0.0, 1.0, 0.0]))
    assert ((plain != other)[0, :, 0]).tolist() == [False, True, False]


def test_without_what_is_known_ahead_a_forecast_is_refused(head):
    with pytest.raises(ConfigError) as refusal:
        head(torch.randn(1, 5, 4), None, Batch(torch.ones(1, 5, 2)))
    assert "known ahead (promo)" in str(refusal.value)
    assert "use `seqkit forecast`" in str(refusal.value)


def test_gradients_reach_every_weight(head):
    outputs = head(torch.randn(1, 5, 4), None, batch([0.0, 1.0, 0.0]))
    outputs.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in head.parameters())

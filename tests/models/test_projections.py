import pytest
import torch

from seqkit.errors import ConfigError
from seqkit.models.layout import Layout
from seqkit.models.projections import Projections, Weights, normalise

GATES = ("forget", "candidate")


def projections(gain=False, mask=False):
    torch.manual_seed(0)
    weights = Weights(*(torch.randn(*shape, dtype=torch.float64) for shape in ((6, 2), (6, 3), (6,), (6,))))
    gains = (torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)) if gain else (None, None)
    return Projections(
        Layout(GATES, GATES, GATES), weights, *gains, torch.rand(4, 3, dtype=torch.float64) if mask else None
    )


def scaled(a_BG, gain_G):
    """Layer normalisation of two gates of three units, spelled out."""
    halves = [(half - half.mean(-1, True)) / (half.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
              for half in (a_BG[..., :3], a_BG[..., 3:])]  # fmt: skip
    return torch.cat(halves, -1) * gain_G


@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_the_input_projection_is_of_all_steps(gain, both):
    made = projections(gain)
    weight_GI, _, bias_G, recurrent_bias_G = made.weights
    x_TBI = torch.randn(5, 4, 2, dtype=torch.float64)
    product = x_TBI @ weight_GI.T
    expected = (scaled(product, made.gain_ih_D) if gain else product) + bias_G + (recurrent_bias_G if both else 0)
    torch.testing.assert_close(made.input_projection(x_TBI, both), expected)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("gain", [False, True])
def test_the_recurrent_projection_of_a_gate_is_its_part_of_all(gain, mask):
    made = projections(gain, mask)
    h_BH = torch.randn(4, 3, dtype=torch.float64)
    product = (h_BH * made.mask_BH if mask else h_BH) @ made.weights.weight_RH.T
    expected = (scaled(product, made.gain_hh_R) if gain else product) + made.weights.bias_hh_R
    (recur,) = made.step_products(2)
    torch.testing.assert_close(recur(h_BH), expected)
    torch.testing.assert_close(recur(h_BH, "forget"), expected[:, :3])
    torch.testing.assert_close(recur(h_BH, "candidate"), expected[:, 3:])


def test_a_gate_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(ConfigError) as refusal:
        projections().recurrent("forgot")
    assert str(refusal.value) == "no gate 'forgot'. Did you mean 'forget'? Known: candidate, forget"


def test_each_gate_is_normalised_by_itself():
    a_BG = torch.randn(4, 6, dtype=torch.float64) * 100 + 7
    for half in normalise(a_BG, 2).split(3, 1):
        torch.testing.assert_close(half.mean(1), torch.zeros(4, dtype=torch.float64))
        torch.testing.assert_close(half.var(1, correction=0), torch.ones(4, dtype=torch.float64))

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


THREE = ("a", "b", "c")


def parts(driven=THREE, recurrent=THREE, diagonal=False, gain=False, mask=False, wants_input=False):
    """Return projections of three gates of three units, an input (4, 2) and a state (4, 3)."""
    torch.manual_seed(0)
    D, R = 3 * len(driven), 3 * len(recurrent)
    weights = Weights(
        *(torch.randn(*shape, dtype=torch.float64) for shape in ((D, 2), (R,) if diagonal else (R, 3), (9,), (R,)))
    )
    gains = (torch.randn(D, dtype=torch.float64), torch.randn(R, dtype=torch.float64)) if gain else (None, None)
    made = Projections(
        Layout(THREE, driven, recurrent, diagonal, wants_input), weights, *gains,
        torch.rand(4, 3, dtype=torch.float64) if mask else None,
    )  # fmt: skip
    return made, torch.randn(4, 2, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)


def block(part, names, gate):
    """Return one gate's rows of a tensor that has those of ``names``."""
    return part[3 * names.index(gate) :][:3]


def of_one_gate(product, gain, bias):
    if gain is None:
        return product + bias
    mean, variance = product.mean(-1, True), product.var(-1, keepdim=True, correction=0)
    return (product - mean) / (variance + 1e-5).sqrt() * gain + bias


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("recurrent", [THREE, ("c", "a")], ids="".join)
@pytest.mark.parametrize("asked", [None, "a", ("a",), ("a", "c"), ("c", "a")], ids=str)
def test_recur_gives_the_gates_asked_for_in_that_order(asked, recurrent, diagonal, gain, mask):
    made, _, h_BH = parts(recurrent=recurrent, diagonal=diagonal, gain=gain, mask=mask)
    _, weight, _, bias = made.weights
    masked_BH = h_BH * made.mask_BH if mask else h_BH
    due = []
    for gate in recurrent if asked is None else asked:
        U = block(weight, recurrent, gate)
        own_gain = block(made.gain_hh_R, recurrent, gate) if gain else None
        due.append(of_one_gate(masked_BH * U if diagonal else masked_BH @ U.T, own_gain, block(bias, recurrent, gate)))
    (recur,) = made.step_products(2)
    torch.testing.assert_close(recur(h_BH, asked), torch.cat(due, 1))
    assert len(made.recurrent(asked).weight) == 3 * len(due)  # no row is multiplied for nothing


@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("driven", [("b",), ("c", "a")], ids="".join)
@pytest.mark.parametrize("asked", [None, "a", "b", ("b", "a"), ("c", "b", "a")], ids=str)
def test_a_gate_without_w_has_its_bias_alone(asked, driven, gain):
    made, x_BI, _ = parts(driven=driven, gain=gain, wants_input=True)
    weight, _, bias, _ = made.weights
    due = []
    for gate in THREE if asked is None else asked:
        own_bias = block(bias, THREE, gate)
        if gate in driven:
            own_gain = block(made.gain_ih_D, driven, gate) if gain else None
            due.append(of_one_gate(x_BI @ block(weight, driven, gate).T, own_gain, own_bias))
        else:
            due.append(own_bias.expand(4, 3))
    project, _ = made.step_products(2)
    torch.testing.assert_close(project(x_BI, asked), torch.cat(due, 1))
    if asked is None:
        torch.testing.assert_close(made.input_projection(x_BI[None]), torch.cat(due, 1)[None])


def test_a_gate_without_u_is_refused():
    made, _, h_BH = parts(recurrent=("a", "b"))
    (recur,) = made.step_products(1)
    with pytest.raises(ConfigError, match=r"^no recurrent projection of gate 'c'\. Known: a, b$"):
        recur(h_BH, ("a", "c"))

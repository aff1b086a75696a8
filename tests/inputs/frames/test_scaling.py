import torch

from seqkit.inputs.frames.scaling import window_mean_and_scale

USUAL = torch.tensor([7.0])


def column(*values):
    return torch.tensor(values)[None, :, None]


def test_mean_and_deviation_are_those_of_the_valid_steps():
    rows = torch.cat((column(1.0, 3.0, float("nan")), column(2.0, 4.0, 9.0)))
    mean_BC, scale_BC = window_mean_and_scale(rows, torch.tensor([2, 3]), USUAL)
    assert mean_BC.tolist() == [[2.0], [5.0]]
    assert torch.allclose(scale_BC, torch.tensor([[1.0], [(26 / 3) ** 0.5]]))


def test_a_constant_window_has_the_size_of_its_mean_or_the_usual_scale():
    for rows, scale in ((column(-5.0, -5.0), 5.0), (column(0.0, 0.0), 7.0), (column(1000.0, 1000.5), 1000.25)):
        assert window_mean_and_scale(rows, None, USUAL)[1].item() == scale


def test_the_scale_of_logarithms_does_not_depend_on_the_unit_of_measure():
    values = column(0.99, 1.01, 0.99, 1.01)
    for unit in (1.0, 1e6):
        _, scale_BC = window_mean_and_scale((unit * values).double().log(), None, USUAL, "log")
        assert abs(scale_BC.item() - 0.01) < 1e-5
        assert window_mean_and_scale((unit * column(1.0, 1.0)).log(), None, USUAL, "log")[1].item() == 1

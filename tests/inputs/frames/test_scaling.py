from pathlib import Path

import numpy as np
import pytest
import torch

from seqkit.errors import DataError
from seqkit.inputs.frames.scaling import own_mean_and_scale, window_mean_and_scale
from seqkit.inputs.frames.tables import Table

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


def table(*values):
    return Table(Path("a.csv"), ("other", "x"), np.array([[0.0, value] for value in values]), np.arange(len(values)))


def test_a_series_that_varies_little_is_scaled_by_its_deviation():
    mean, scale = own_mean_and_scale(table(1012.1, 1013.9, np.nan), "s", ["x"], [7.0])
    assert (mean, scale) == (pytest.approx((1013.0,)), pytest.approx((0.9,)))


def test_a_series_that_never_changes_has_the_size_of_its_mean_or_the_usual_scale():
    assert own_mean_and_scale(table(-5.1, -5.1, -5.1), "s", ["x"], [7.0])[1] == pytest.approx((5.1,))
    assert own_mean_and_scale(table(0.0, 0.0), "s", ["x"], [7.0])[1] == (7.0,)


def test_a_series_that_varies_too_little_is_refused_by_its_name():
    with pytest.raises(DataError, match=r"^a.csv, series 's', column 'x': varies by 0.5 around values as large as"):
        own_mean_and_scale(table(1e9, 1e9 + 1), "s", ["x"], [7.0])

from types import SimpleNamespace

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.tasks.forecast.prediction import SeriesPrediction
from seqkit.tasks.forecast.spec import Series

SERIES = Series(2, ("a", "b"), (10.0, 100.0), (2.0, 20.0))


def spec(*names):
    return SimpleNamespace(inputs=SimpleNamespace(names=names))


def test_deviations_become_values_in_the_units_of_the_data_and_back():
    batch = Batch(torch.zeros(1, 3, 2))
    values = SERIES.in_units(torch.tensor([[[0.0, 0.0], [1.0, -0.5]]]), batch)
    assert values.dtype == torch.float64
    assert values.tolist() == [[[10.0, 100.0], [12.0, 90.0]]]
    assert SERIES.scaled(values, batch).tolist() == [[[0.0, 0.0], [1.0, -0.5]]]


def test_further_axes_come_after_the_targets():
    deviations_BFCQ = torch.tensor([[[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]]])
    values_BFCQ = SERIES.in_units(deviations_BFCQ, Batch(torch.zeros(1, 3, 2)))
    assert values_BFCQ.tolist() == [[[[10.0, 12.0, 14.0], [100.0, 120.0, 140.0]]]]


def test_columns_are_the_places_of_the_targets_among_the_inputs():
    assert SERIES.columns(spec("b", "x", "a")) == [2, 0]
    assert SERIES.columns(spec("a", "x")) is None
    assert SERIES.columns(SimpleNamespace(inputs=object())) is None


@pytest.mark.parametrize(
    ("season", "lookback", "there"), [(4, 4, True), (5, 4, False), (None, 4, False), (4, None, False)]
)
def test_the_seasonal_baseline_needs_a_season_within_the_lookback(season, lookback, there):
    series = Series(2, ("a",), (0.0,), (1.0,), lookback, season)
    assert any("seasonal" in name for name in series.baselines(spec("a"), None, "test")) == there


def test_answers_and_their_table():
    (answer,) = SERIES.answers(SeriesPrediction(torch.tensor([[[1.0, 2.0], [3.0, 4.5]]])), spec("a", "b"))
    assert answer == {"names": ["a", "b"], "values": [[1.0, 2.0], [3.0, 4.5]]}
    assert [line.split() for line in SERIES.text(answer).splitlines()[1:]] == [
        ["step", "a", "b"], ["1", "1", "2"], ["2", "3", "4.5"],
    ]  # fmt: skip


def test_by_the_window_values_are_scaled_by_each_window():
    series = Series(2, ("y",), (3.0,), (10.0,), window=(1,))
    inputs = torch.tensor([[[0.0, 1.0], [0.0, 3.0]], [[0.0, 100.0], [0.0, 300.0]]])
    batch = Batch(inputs)
    values_BFC = torch.tensor([[[4.0], [2.0]], [[400.0], [200.0]]])
    scaled = series.scaled(values_BFC, batch)
    assert scaled.flatten(1).tolist() == [[2.0, 0.0], [2.0, 0.0]]
    assert torch.equal(series.in_units(scaled, batch), values_BFC.double())
    quantiles = values_BFC[..., None].expand(-1, -1, -1, 3)
    assert torch.equal(series.in_units(series.scaled(quantiles, batch), batch), quantiles.double())


def test_rows_of_an_answer_are_its_steps():
    task = Series(2, ("a", "b"), (0.0, 0.0), (1.0, 1.0))
    answer = {"names": ["a", "b"], "values": [[1.0, 2.0], [3.0, 4.0]]}
    assert task.rows(answer) == [{"step": 1, "a": 1, "b": 2}, {"step": 2, "a": 3, "b": 4}]
    answer |= {"levels": [0.1, 0.9], "quantiles": [[[0.0, 2.0], [1.0, 3.0]], [[2.0, 4.0], [3.0, 5.0]]]}
    assert task.rows(answer)[1] == {"step": 2, "a": 3, "b": 4, "a_q0.1": 2, "a_q0.9": 4, "b_q0.1": 3, "b_q0.9": 5}

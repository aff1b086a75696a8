from dataclasses import replace

import numpy as np
import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.data.series_table import SeriesTable
from seqkit.data.synthetic import Adding
from seqkit.tasks.forecast.baselines import RIDGE, drift, last_rows, linear


def baselines(data, split="test"):
    data.setup()
    task, part = data.spec.task, data.part(split)
    found = {}
    for name, predict in task.baselines(data.spec, data, split).items():
        metric = task.metrics(data.spec)
        for indices in data.order(split, data.batch_size, 0, 0):
            batch = data.collate([part[index] for index in indices])
            metric.update(predict(batch), batch)
        found[name] = {score: float(value) for score, value in metric.compute().items()}
    return found


@pytest.fixture
def saw(tmp_path):
    """Return a file whose x repeats 0, 1, 2, 3 and whose y is x times 10."""
    path = tmp_path / "saw.csv"
    path.write_text("x,y\n" + "".join(f"{row % 4},{10 * (row % 4)}\n" for row in range(40)))
    return str(path)


def test_repeat_last_seasonal_and_mean_of_a_saw(saw):
    data = SeriesTable(path=saw, lookback=4, horizon=6, split=[20, 10, 10], season=4, targets=["x"])
    scores = baselines(data)
    assert list(scores) == ["repeat last", "seasonal naive (season 4)", "drift", "linear", "training mean"]
    part = data.part("test")
    errors = torch.stack([targets[:, 0] - inputs[-1, 0] for inputs, targets, *_ in (part[i] for i in range(len(part)))])
    assert scores["repeat last"]["mse_raw"] == pytest.approx(errors.square().mean().item())
    assert scores["repeat last"]["mae_raw"] == pytest.approx(errors.abs().mean().item())
    assert scores["repeat last"]["mse"] == pytest.approx(errors.square().mean().item() / 1.25)  # variance of 0, 1, 2, 3
    assert scores["seasonal naive (season 4)"] == pytest.approx(
        {"mse": 0, "mae": 0, "mse_raw": 0, "mae_raw": 0, "rmse": 0, "smape": 0}
    )
    mean = torch.stack([part[i][1] for i in range(len(part))]) - 1.5
    assert scores["training mean"]["mse_raw"] == pytest.approx(mean.square().mean().item())


def test_targets_are_found_among_the_inputs(saw):
    data = SeriesTable(
        path=saw, lookback=4, horizon=4, split=[20, 10, 10], season=4, targets=["y", "x"], inputs=["x", "y"]
    )
    assert baselines(data)["seasonal naive (season 4)"]["mse"] == pytest.approx(0)


@pytest.mark.parametrize(("season", "lookback"), [(None, 4), (5, 4)])
def test_no_seasonal_naive_without_a_whole_season_in_view(saw, season, lookback):
    data = SeriesTable(path=saw, lookback=lookback, horizon=2, season=season)
    assert list(baselines(data)) == ["repeat last", "drift", "linear", "training mean"]


def test_targets_that_are_no_inputs_have_the_mean_only():
    scores = baselines(Adding(length=10, train_size=10, test_size=4000))
    assert list(scores) == ["training mean"]
    assert scores["training mean"]["mse"] == pytest.approx(1 / 6, abs=0.01)


def test_does_not_depend_on_the_batch_size(saw):
    scores = [baselines(SeriesTable(path=saw, lookback=4, horizon=3, season=4, batch_size=size)) for size in (1, 64)]
    for name in scores[0]:
        assert scores[0][name] == pytest.approx(scores[1][name], rel=1e-12)


def test_etth1_repeat_last_is_that_of_the_literature(shared):
    data = SeriesTable(
        path=str(shared / "timeseries" / "etth1" / "ETTh1.csv"),
        time_column="date",
        lookback=336,
        horizon=96,
        split=[8640, 2880, 2880],
    )
    scores = baselines(data)["repeat last"]
    # 1.295/0.713 in the table of cure-lab/LTSF-Linear; 1.294/0.713 recomputed from the file.
    assert scores["mse"] == pytest.approx(1.294, abs=5e-4)
    assert scores["mae"] == pytest.approx(0.713, abs=5e-4)


def test_the_last_rows_are_the_last_valid_ones():
    inputs = torch.arange(8.0).reshape(2, 4, 1)
    batch = Batch(inputs, torch.tensor([4, 2]))
    assert last_rows(batch, 3, [0], 2)[:, :, 0].tolist() == [[2, 3, 2], [4, 5, 4]]


def test_drift_continues_the_line_from_the_first_row_to_the_last():
    inputs = torch.tensor([[[0.0], [5.0], [4.0]]])
    assert drift(Batch(inputs), 3, [0], 3)[0, :, 0].tolist() == [6, 8, 10]


@pytest.fixture
def walk(tmp_path):
    """Return data of two columns that follow the same rule of the last three values, with noise."""
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(160, 2, generator=draw).cumsum(0) * torch.tensor([1.0, 100.0])
    path = tmp_path / "walk.csv"
    path.write_text("x,y\n" + "".join(f"{x:.5f},{y:.5f}\n" for x, y in values.tolist()))
    data = SeriesTable(path=str(path), lookback=3, horizon=2, season=3)
    data.setup()
    return data


def test_the_linear_baseline_is_ridge_regression(walk):
    """Against numpy's least squares, the penalty as further rows."""
    task, part = walk.spec.task, walk.part("train")
    mean, scale = np.array(task.mean), np.array(task.scale)
    rows, ahead = [], []
    for inputs, targets, *_ in (part[index] for index in range(len(part))):
        past, future = ((values.double().numpy() - mean) / scale for values in (inputs, targets))
        for column in range(2):
            rows.append([*(past[:, column] - past[-1, column]), 1.0])
            ahead.append(future[:, column] - past[-1, column])
    rows = np.array(rows)
    ridge = RIDGE * (rows[:, :-1] ** 2).sum(0).mean()
    penalty = np.diag([(ridge + 1e-9 * len(rows)) ** 0.5] * 3 + [(1e-9 * len(rows)) ** 0.5])
    weights, *_ = np.linalg.lstsq(np.vstack((rows, penalty)), np.vstack((ahead, np.zeros((4, 2)))), rcond=None)
    inputs, *_ = walk.part("test")[0]
    past = (inputs.double().numpy() - mean) / scale
    due = [(np.append(past[:, c] - past[-1, c], 1.0) @ weights + past[-1, c]) * scale[c] + mean[c] for c in range(2)]
    found = linear(task, [0, 1], 3, walk)(Batch(inputs[None]))[0]
    assert found.numpy() == pytest.approx(np.array(due).T, rel=1e-6)


def test_of_a_calibrated_series_baselines_have_quantiles_of_their_residuals(walk):
    task = replace(walk.spec.task, levels=(0.01, 0.5, 0.99), shifts=(((0.0,) * 3,) * 2,) * 2)
    batch = Batch(walk.part("test")[0][0][None])
    for name, predict in task.baselines(walk.spec, walk, "test").items():
        quantiles_BFCQ = predict(batch).quantiles_BFCQ
        assert (quantiles_BFCQ.diff(dim=-1) >= 0).all(), name
    part = walk.part("valid")

    def left(inputs, targets, *_):
        return float((targets[1, 0] - inputs[-1, 0]) / inputs[:, 0].std(correction=0))

    residuals = sorted(left(*part[index]) for index in range(len(part)))
    quantiles_Q = task.baselines(walk.spec, walk, "test")["repeat last"](batch).quantiles_BFCQ[0, 1, 0]
    seen = batch.inputs[0, :, 0]
    found = (quantiles_Q[[0, -1]] - seen[-1]) / seen.std(correction=0)
    assert found.tolist() == pytest.approx([residuals[0], residuals[-1]], rel=1e-4)  # few residuals: the outermost


def test_no_score_is_missing_for_a_column_that_never_changes_with_the_season(saw):
    scores = baselines(SeriesTable(path=saw, lookback=4, horizon=2, season=4, targets=["x"]))
    assert all("mase" not in found for found in scores.values())

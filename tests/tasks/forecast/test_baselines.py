import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.data.series import SeriesCsv
from seqkit.data.synthetic import Adding
from seqkit.tasks.forecast.baselines import last_rows


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
    data = SeriesCsv(path=saw, lookback=4, horizon=6, split=[20, 10, 10], season=4, targets=["x"])
    scores = baselines(data)
    assert list(scores) == ["repeat last", "seasonal naive (season 4)", "training mean"]
    part = data.part("test")
    errors = torch.stack([targets[:, 0] - inputs[-1, 0] for inputs, targets in (part[i] for i in range(len(part)))])
    assert scores["repeat last"]["mse_raw"] == pytest.approx(errors.square().mean().item())
    assert scores["repeat last"]["mae_raw"] == pytest.approx(errors.abs().mean().item())
    assert scores["repeat last"]["mse"] == pytest.approx(errors.square().mean().item() / 1.25)  # variance of 0, 1, 2, 3
    assert scores["seasonal naive (season 4)"] == pytest.approx({"mse": 0, "mae": 0, "mse_raw": 0, "mae_raw": 0})
    mean = torch.stack([part[i][1] for i in range(len(part))]) - 1.5
    assert scores["training mean"]["mse_raw"] == pytest.approx(mean.square().mean().item())


def test_targets_are_found_among_the_inputs(saw):
    data = SeriesCsv(
        path=saw, lookback=4, horizon=4, split=[20, 10, 10], season=4, targets=["y", "x"], inputs=["x", "y"]
    )
    assert baselines(data)["seasonal naive (season 4)"]["mse"] == pytest.approx(0)


@pytest.mark.parametrize(("season", "lookback"), [(None, 4), (5, 4)])
def test_no_seasonal_naive_without_a_whole_season_in_view(saw, season, lookback):
    data = SeriesCsv(path=saw, lookback=lookback, horizon=2, season=season)
    assert list(baselines(data)) == ["repeat last", "training mean"]


def test_targets_that_are_no_inputs_have_the_mean_only():
    scores = baselines(Adding(length=10, train_size=10, test_size=4000))
    assert list(scores) == ["training mean"]
    assert scores["training mean"]["mse"] == pytest.approx(1 / 6, abs=0.01)


def test_does_not_depend_on_the_batch_size(saw):
    scores = [baselines(SeriesCsv(path=saw, lookback=4, horizon=3, season=4, batch_size=size)) for size in (1, 64)]
    for name in scores[0]:
        assert scores[0][name] == pytest.approx(scores[1][name], rel=1e-12)


def test_etth1_repeat_last_is_that_of_the_literature(shared):
    data = SeriesCsv(
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
    assert last_rows(batch, 3, [0], 2).values_BFC[:, :, 0].tolist() == [[2, 3, 2], [4, 5, 4]]

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames.spec import Frames
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.regress.head import Regress
from seqkit.tasks.regress.metrics import RegressMetrics
from seqkit.tasks.regress.prediction import NumberPrediction
from seqkit.tasks.regress.spec import Numbers

TASK = Numbers(("speed", "mass"), (10.0, -1.0), (2.0, 0.5))
SPEC = DataSpec(Frames(("x",), (0.0,), (1.0,)), TASK)


def test_scores_by_their_definitions():
    draw = torch.Generator().manual_seed(0)
    targets = torch.randn(50, 2, generator=draw) * torch.tensor(TASK.scale) + torch.tensor(TASK.mean)
    values = targets + torch.randn(50, 2, generator=draw) / 4
    metric = RegressMetrics(TASK.names, TASK.mean, TASK.scale)
    for part in (slice(0, 7), slice(7, 50)):
        metric.update(NumberPrediction(values[part]), Batch(torch.zeros(1, 1), targets=targets[part]))
    found = {name: value.item() for name, value in metric.compute().items()}
    error, targets = (values - targets).double(), targets.double()
    scaled = error / torch.tensor(TASK.scale)
    assert found == pytest.approx({
        "mse": scaled.square().mean().item(),
        "mae": scaled.abs().mean().item(),
        "r2": (1 - error.square().mean(0) / targets.var(0, correction=0)).mean().item(),
        "mae_raw_speed": error[:, 0].abs().mean().item(),
        "mae_raw_mass": error[:, 1].abs().mean().item(),
    }, rel=1e-5)  # fmt: skip


def test_the_training_mean_explains_nothing():
    batch = Batch(torch.zeros(4, 1, 1), targets=torch.tensor([[8.0, -1.5], [12, -0.5], [8, -0.5], [12, -1.5]]))
    metric = TASK.metrics(SPEC)
    metric.update(TASK.baselines(SPEC, None, "test")["training mean"](batch), batch)
    assert metric.compute()["r2"] == pytest.approx(0)
    assert metric.compute()["mse"] == pytest.approx(1)


def test_predictions_are_in_the_units_of_the_data():
    head = Regress(3, SPEC, True)
    outputs = torch.tensor([[0.0, 0.0], [1.0, -2.0]])
    prediction = head.predict(outputs, None, Batch(torch.zeros(2, 1, 1)))
    assert prediction.values_BC.tolist() == [[10, -1], [12, -2]]
    assert TASK.answers(prediction, SPEC)[1] == {"speed": 12, "mass": -2}
    assert TASK.rows(TASK.answers(prediction, SPEC)[1]) == [{"speed": 12, "mass": -2}]
    loss, count = head.loss(outputs, None, Batch(torch.zeros(2, 1, 1), targets=prediction.values_BC.float()))
    assert (loss.item(), count) == (0, 4)


def test_it_serves_numbers_only():
    with pytest.raises(ConfigError, match="head=regress needs numbers, this data has Classes; use head=classify"):
        Regress(3, DataSpec(SPEC.inputs, Classes(("a", "b"), (1, 1))), True)


def test_the_figure_has_a_panel_per_target():
    from seqkit.tasks.regress.figures import scatter

    values = torch.randn(5, 2)
    assert [axis.get_xlabel() for axis in scatter(values, values, TASK.names).axes] == ["speed, true", "mass, true"]

import math

import pytest
import torch

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.inputs.waveform.spec import Waveform
from seqkit.tasks.classify.spec import Classes


def test_majority_class_is_that_of_training_with_its_frequencies():
    task = Classes(("a", "b", "c"), (2, 5, 3))
    spec = DataSpec(Waveform(8000), task)
    ((name, baseline),) = task.baselines(spec, None, "test").items()
    assert name == "majority class"
    metric = task.metrics(spec)
    for targets in ([1, 1], [0, 2], [2]):
        batch = Batch(torch.zeros(len(targets), 1), targets=torch.tensor(targets))
        metric.update(baseline(batch), batch)
    scores = {name: float(value) for name, value in metric.compute().items()}
    assert scores["accuracy"] == pytest.approx(2 / 5)
    assert scores["macro_f1"] == pytest.approx((2 * 2 / (2 + 5)) / 3)
    expected = -(2 * math.log(0.5) + math.log(0.2) + 2 * math.log(0.3)) / 5
    assert scores["loss"] == pytest.approx(expected)

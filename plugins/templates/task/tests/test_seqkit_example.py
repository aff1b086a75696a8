"""The task, its head and its data keep seqkit's contracts, and its scores are right."""

import pytest
import torch
from seqkit_example.data import above_start
from seqkit_example.task import ExamplePrediction, ExampleTask

from seqkit import Batch


@pytest.mark.seqkit("data=example task=example head=example")
def test_contract(check):
    check()


def test_the_target_is_whether_the_walk_is_above_its_start():
    assert above_start(torch.tensor([[1.0], [-2.0], [3.0]])).tolist() == [1, 0, 1]


def test_scores_by_hand():
    metric = ExampleTask(share=0.5).metrics(None)
    logits_BT = torch.tensor([[1.0, -1.0, 1.0], [1.0, -9.0, -9.0]])
    batch = Batch(logits_BT[..., None], targets=torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    metric.update(ExamplePrediction(logits_BT, torch.tensor([3, 1])), batch)
    scores = metric.compute()
    assert scores["error_rate"] == 1 / 4
    right, wrong = torch.nn.functional.softplus(torch.tensor([-1.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(scores["loss"], (3 * right + wrong) / 4)

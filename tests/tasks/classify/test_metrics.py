import pytest
import torch
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from seqkit.contracts.batch import Batch
from seqkit.tasks.classify.metrics import ClassifyMetrics
from seqkit.tasks.classify.prediction import ClassPrediction


def batches(logits, targets, size):
    for start in range(0, len(logits), size):
        yield logits[start : start + size], Batch(torch.zeros(1), targets=targets[start : start + size])


def score(logits, targets, size):
    scores = ClassifyMetrics(logits.shape[1])
    for outputs, batch in batches(logits, targets, size):
        scores.update(ClassPrediction(outputs), batch)
    return scores


def test_scores_are_torchmetrics_own_and_do_not_depend_on_the_batch_size():
    torch.manual_seed(0)
    logits, targets = torch.randn(101, 4), torch.randint(0, 4, (101,))
    whole = score(logits, targets, 101).compute()
    assert float(whole["accuracy"]) == pytest.approx(float(multiclass_accuracy(logits, targets, 4, average="micro")))
    assert float(whole["macro_f1"]) == pytest.approx(float(multiclass_f1_score(logits, targets, 4, average="macro")))
    assert float(whole["loss"]) == pytest.approx(float(torch.nn.functional.cross_entropy(logits, targets)))
    for size in (1, 7, 50):
        other = score(logits, targets, size).compute()
        assert float(other["accuracy"]) == float(whole["accuracy"])
        assert float(other["macro_f1"]) == float(whole["macro_f1"])
        assert float(other["loss"]) == pytest.approx(float(whole["loss"]), rel=1e-14)


def test_confusion_by_hand():
    logits = torch.tensor([[9.0, 0, 0], [0, 9, 0], [0, 9, 0], [9, 0, 0]])
    scores = score(logits, torch.tensor([0, 1, 0, 0]), 3)
    assert scores.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    values = scores.compute()
    assert float(values["accuracy"]) == 0.75
    assert float(values["macro_f1"]) == pytest.approx((4 / 5 + 2 / 3) / 2)  # the third class does not occur
    scores.reset()
    assert scores.confusion.sum() == 0

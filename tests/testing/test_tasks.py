import pytest
import torch

from seqkit.errors import ConfigError
from seqkit.testing import check_task
from seqkit.testing.check import CHECKS
from seqkit.testing.tasks import suite
from tests.testing.built_in import lines


@pytest.mark.seqkit(*lines("task"))
def test_built_in_tasks(check):
    check()


def test_the_task_of_an_example_plugin(load):
    load("tests.plugins.piano_roll")
    check_task("notes")


def test_predictions_changed_by_those_before_them_are_right(load, monkeypatch):
    load("tests.plugins.piano_roll")
    from tests.plugins.piano_roll import Notes, NotesPrediction

    def over_time(self, spec):
        before = [0.0]

        def change(prediction, batch):
            found = []
            for probability_TN, target_TN in zip(prediction.probability_BTN, batch.targets, strict=True):
                found.append((probability_TN + before[-1]) / 2)
                before.append(float(target_TN.mean()))
            return NotesPrediction(torch.stack(found))

        return change

    monkeypatch.setattr(Notes, "over_time", over_time, raising=False)
    check_task("notes")
    subject, _ = suite({"task": {"name": "notes"}})
    [check] = [check for check in CHECKS["task"] if check.name == "over_time_looks_back_alone"]
    outcome = check.outcome(subject)
    assert outcome.passed
    assert outcome.applies


def test_a_task_without_data(load):
    load("tests.plugins.piano_roll")
    from seqkit import registry

    del registry._components["data"]["piano_roll"]
    with pytest.raises(ConfigError, match="task=notes is that of no data set"):
        suite({"task": {"name": "notes"}})[0].get_data()

"""Two runs are equal only to the bit, and a difference has a name."""

import json
import math

import pytest
import torch

from seqkit.runs import checkpoint
from seqkit.runs.folder import RunFolder
from seqkit.verifying.comparing import first_difference, value_differences


def tensor(*values: float, dtype=torch.float32):
    return torch.tensor(values, dtype=dtype)


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        ({"a": [tensor(1, 2, 3)]}, {"a": [tensor(1, 2.5, 4)]}, "a[0]: 2 of 3 values differ, first at [1]: 2.0 and 2.5"),
        ({"b.c": tensor(0.0)}, {"b.c": tensor(-0.0)}, "['b.c']: 1 of 1 values differ, first at [0]: 0.0 and -0.0"),
        (torch.tensor(1), torch.tensor(2), ": 1 of 1 values differ: 1 and 2"),
        (tensor(1, dtype=torch.bfloat16), tensor(1), ": torch.bfloat16 of shape (1,) and torch.float32 of shape (1,)"),
        (torch.zeros(2, 3).T, torch.eye(3)[:, :2], ": 2 of 6 values differ, first at [0, 0]: 0.0 and 1.0"),
        ({"a": 1}, {"a": 1, "b": 2}, "b: only in the resumed run"),
        ({"a": 1}, {}, "a: only in the uninterrupted run"),
        ([1, 2], [1], "end: 2 and 1 items"),
        ((1, [2.0]), (1, [2.5]), "1[0]: 2.0 and 2.5"),
        ({3: 1}, {3: 1.0}, "[3]: 1 and 1.0"),
        (0.0, -0.0, ": 0.0 and -0.0"),
        (["step 1", "step 2"], ["step 1", "step 3"], "1: step 2 and step 3"),
    ],
)
def test_the_first_difference_has_a_name(one, other, line):
    assert next(value_differences(one, other)) == line


def test_equal_bits_are_equal():
    value = {"a": [tensor(math.nan, 1), torch.zeros(0), torch.tensor(True)], "b": (math.nan, None, "c", 1)}
    again = {"a": [tensor(math.nan, 1), torch.zeros(0), torch.tensor(True)], "b": (math.nan, None, "c", 1)}
    assert list(value_differences(value, again)) == []


def test_runs_differ_in_what_was_computed_only(originals, tmp_path):
    import shutil

    whole, other = (RunFolder(shutil.copytree(originals / "finished", tmp_path / name)) for name in ("whole", "other"))

    def change(where):
        content = checkpoint.read(whole.last)
        where(content)
        checkpoint.write(other.last, content)
        return first_difference(whole, other)

    def move(content):
        content["seqkit"]["config"]["id"] = "other"
        content["seqkit"]["seconds"] += 1

    def draw(content):
        content["seqkit"]["ranks"][0]["rng"]["torch"][7] += 1

    def warm(content):
        content["optimizer_states"][0]["state"][0]["exp_avg"][0, 1] = 7

    assert change(move) == ""
    assert change(draw).startswith("last.ckpt: seqkit.ranks[0].rng.torch: 1 of ")
    assert change(warm).startswith(
        "last.ckpt: optimizer_states[0].state[0].exp_avg: 1 of 32 values differ, first at [0, 1]: "
    )
    assert change(lambda content: None) == ""
    report = json.loads(other.report_json.read_text())
    other.report_json.write_text(json.dumps({**report, "training_seconds": 0}))
    assert first_difference(whole, other) == ""
    other.report_json.write_text(json.dumps({**report, "test": {**report["test"], "mse": 1.0}}))
    assert first_difference(whole, other).startswith("report.json: test.mse: ")
    other.metrics_csv.write_text(other.metrics_csv.read_text() + "7,train/loss,1.0\n")
    assert first_difference(whole, other).startswith("metrics.csv, line ")
    other.best.unlink()
    assert "best.ckpt" in first_difference(whole, other)

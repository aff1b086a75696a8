from pathlib import Path

import pytest

from seqkit.errors import TrainingError
from seqkit.runs.metrics_csv import MetricsWriter, read_metrics


def test_csv_drops_what_will_be_written_again():
    path = Path("metrics.csv")
    first = MetricsWriter(path, keep=-1)
    for step in (1, 2, 3):
        first.log_metrics({"train/loss": step / 7}, step)
    with path.open("a") as file:
        file.write("4,train/lo")  # what a kill leaves
    MetricsWriter(path, keep=2).log_metrics({"train/loss": 0.5}, 3)
    assert read_metrics(path) == [(1, "train/loss", 1 / 7), (2, "train/loss", 2 / 7), (3, "train/loss", 0.5)]


def test_a_damaged_file_is_not_overwritten():
    path = Path("metrics.csv")
    path.write_text("step,metric,value\n1,train/loss,0.5\n2,train/loss\n3,train/loss,0.25\n")
    with pytest.raises(
        TrainingError, match=r"metrics.csv is damaged at line 3: .* found '2,train/loss'; mend it, or delete"
    ):
        MetricsWriter(path, keep=3)
    assert path.read_text().endswith("3,train/loss,0.25\n")

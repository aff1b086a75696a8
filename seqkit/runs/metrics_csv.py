"""The metrics of a run as a CSV file that is exact over kills and resumes."""

import csv
import io
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger

from seqkit.files import write_atomic

COLUMNS = ("step", "metric", "value")


class CSVLogger(Logger):
    """Append to ``metrics.csv``, one line a value: finished optimizer steps, name, value.

    Args:
        path: The file.
        keep: Lines of an earlier start of the run beyond this step are dropped; they will be written again.
    """

    def __init__(self, path: Path, keep: int) -> None:
        super().__init__()
        self.path = path
        rows = [row for row in read_metrics(path) if row[0] <= keep] if path.exists() else []
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
        write_atomic(path, text.getvalue())

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:  # type: ignore[override]
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows((step, name, value) for name, value in metrics.items())

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the config lies beside the file."""


def read_metrics(path: Path) -> list[tuple[int, str, float]]:
    """Return the lines of a ``metrics.csv`` as (step, metric, value); a line that a kill cut short is left out."""
    whole_lines = path.read_text().rpartition("\n")[0].splitlines()
    rows = (line.split(",") for line in whole_lines[1:])
    return [(int(step), name, float(value)) for step, name, value in rows]

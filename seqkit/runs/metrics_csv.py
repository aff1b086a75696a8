"""The metrics of a run as a CSV file that is exact over kills and resumes."""

import csv
import io
from errno import ENOSPC
from os import fsync, strerror
from pathlib import Path

from seqkit.errors import TrainingError
from seqkit.files import write_atomic

COLUMNS = ("step", "metric", "value")
Row = tuple[int, str, float]


class MetricsWriter:
    """Append to ``metrics.csv``, one line per value: finished optimizer steps, name, value.

    Args:
        path: The file.
        keep: Lines of an earlier start of the run beyond this step are dropped; they will be written again.

    Attributes:
        kept: The lines that were there up to ``keep``.
    """

    def __init__(self, path: Path, keep: int) -> None:
        self.path = path
        self.kept = [row for row in read_metrics(path) if row[0] <= keep] if path.exists() else []
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *self.kept])
        write_atomic(path, text.getvalue())
        # Kept open: where another process has taken over the run, its file is a new one, and this one is no more.
        self._file = path.open("ab", buffering=0)

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Append the metrics of a step."""
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows((step, name, value) for name, value in metrics.items())
        lines = text.getvalue().encode()
        if self._file.write(lines) < len(lines):
            raise OSError(ENOSPC, strerror(ENOSPC), str(self.path))

    def sync(self) -> None:
        """Write out what the operating system still holds."""
        fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[Row]:
    """Return the lines of a ``metrics.csv``; a line that a kill cut short is left out.

    Raises:
        TrainingError: The file is damaged; the message names the line.
    """
    advice = "mend it, or delete it (a resumed run then starts it anew)"
    try:
        lines = path.read_text("utf-8").rpartition("\n")[0].split("\n")
    except UnicodeDecodeError:
        raise TrainingError(f"{path} is damaged: it is not UTF-8; {advice}") from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            if number == 1:
                if line != ",".join(COLUMNS):
                    raise ValueError
                continue
            ((step, name, value),) = csv.reader([line])
            rows.append((int(step), name, float(value)))
        except ValueError:
            expected = ",".join(COLUMNS) if number == 1 else "STEP,METRIC,VALUE"
            raise TrainingError(
                f"{path} is damaged at line {number}: expected {expected}, found '{line[:60]}'; {advice}"
            ) from None
    return rows


def last_step(path: Path) -> int | None:
    """Return the optimizer steps of the last whole line, read from the end; None where that is no such line."""
    with path.open("rb") as file:
        file.seek(0, io.SEEK_END)
        file.seek(max(0, file.tell() - 4096))
        lines = file.read().rpartition(b"\n")[0].rpartition(b"\n")
    step = lines[2].partition(b",")[0]
    return int(step) if step.isdigit() else None

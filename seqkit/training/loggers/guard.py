"""``metrics.csv``, which is always written, and a logger beside it, which is dropped when it fails."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import groupby
from typing import Any

from seqkit.errors import one_line
from seqkit.faults import author_line
from seqkit.runs.folder import RunFolder
from seqkit.runs.metrics_csv import MetricsWriter

LOG = logging.getLogger("seqkit")


class Loggers:
    """The run's ``metrics.csv`` and, where one is chosen, a logger beside it, which is dropped when it fails.

    Args:
        writer: Of ``metrics.csv``; None writes nothing, on the ranks above 0.
        logger: The chosen logger, or None.
        step: Of the checkpoint that a resumed run goes on from; None at the first start.
    """

    def __init__(self, writer: MetricsWriter | None, logger: Any = None, step: int | None = None) -> None:
        self.writer, self.logger = writer, logger
        if step is not None and hasattr(logger, "resume"):
            self._attempt(lambda: self.logger.resume(step))
        if writer is not None and getattr(logger, "replays", False):
            for number, rows in groupby(writer.kept, key=lambda row: row[0]):
                metrics = {name: value for _, name, value in rows}
                self._attempt(partial(self._log, metrics, number))

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Log metrics under the number of finished optimizer steps."""
        if self.writer is not None:
            self.writer.log_metrics(metrics, step)
        self._attempt(partial(self._log, metrics, step))

    def publish(self, run: RunFolder, report: dict[str, Any]) -> None:
        """Send a finished run's scores to the logger, and its figures and best checkpoint where it takes them."""
        scores = {f"test/{name}": value for name, value in report["test"].items()}
        self._attempt(partial(self._log, scores, report["best_step"]))
        if hasattr(self.logger, "publish"):
            figures = [run.path / name for name in report["figures"]]
            self._attempt(lambda: self.logger.publish(report, figures, run.best))

    def sync(self) -> None:
        """Let ``metrics.csv`` survive a loss of power, as is due before a checkpoint that goes on behind its lines."""
        if self.writer is not None:
            self.writer.sync()

    def close(self) -> None:
        """Flush the logger and close the files, at the end or at a stop."""
        if self.writer is not None:
            self.writer.close()
        if hasattr(self.logger, "finalize"):
            self._attempt(lambda: self.logger.finalize("success"))

    def _log(self, metrics: dict[str, float], step: int) -> None:
        self.logger.log_metrics(metrics, step)

    def _attempt(self, action: Callable[[], None]) -> None:
        if self.logger is None:
            return
        try:
            action()
        except Exception as error:
            name, abandon = type(self.logger).__name__, getattr(self.logger, "abandon", None)
            self.logger = None
            if abandon is not None:
                with suppress(Exception):
                    abandon()
            place = author_line(error)
            reason = f"{type(error).__name__}: {one_line(error) or 'no reason given'}{f', {place}' if place else ''}"
            LOG.warning("%s failed and is dropped (%s); metrics.csv goes on", name, reason)

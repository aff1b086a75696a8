"""Checks of loggers."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from seqkit import registry
from seqkit.testing import options
from seqkit.testing.check import DoesNotApply, check, ensure, explained, require
from seqkit.testing.line import Chosen
from seqkit.testing.training import tiny_config

METRICS = {"train/loss": 0.5, "valid/perplexity": math.inf}
"""One a step; a perplexity may well be infinite at first."""

DIED_AT, CHECKPOINT = 20, 14
"""Steps of a run that died, and the one that it goes on from."""


@dataclass(frozen=True)
class LoggerSubject:
    """A logger to be checked: its name and options, as in the config."""

    config: Mapping[str, Any]

    def build(self, folder: Path) -> Any:
        """Return the logger of a run in a folder."""
        return registry.build("logger", self.config, folder, self.run_config())

    def run_config(self) -> dict[str, Any]:
        """Return the config of a run with this logger."""
        return {**tiny_config({"logger": self.config}), "name": "check"}

    @contextmanager
    def opened(self, folder: Path) -> Iterator[Any]:
        """Open the logger for a start of a run, and finalize it."""
        logger = self.build(folder)
        yield logger
        if hasattr(logger, "finalize"):
            logger.finalize("success")


def check_logger(name: str, **given: Any) -> None:
    """Run every check of a logger on one that is registered; raises ``CheckError`` with a line for each failure."""
    require(*suite({"logger": {"name": name, **given}}))


def suite(chosen: Chosen) -> tuple[LoggerSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of a logger; see ``seqkit.testing.line.suite``."""
    return LoggerSubject(chosen["logger"]), ("logger",)


options.define_checks("logger")


@check("logger")
def takes_metrics_of_a_step(subject: LoggerSubject) -> None:
    """It is called after every logged step and every validation; one that fails is dropped from the run."""
    with TemporaryDirectory() as folder, subject.opened(Path(folder)) as logger:
        ensure(hasattr(logger, "log_metrics"), f"{type(logger).__name__} has no log_metrics(metrics, step)")
        for step, metrics in ((0, METRICS), (1, {}), (7, METRICS), (7, {"valid/loss": math.nan})):
            with explained(f"it must take log_metrics({metrics}, {step})"):
                logger.log_metrics(dict(metrics), step)


@check("logger")
def leaves_what_it_is_given_as_it_is(subject: LoggerSubject) -> None:
    """The same dict goes to metrics.csv, and the same config into the checkpoints."""
    with TemporaryDirectory() as folder:
        config = subject.run_config()
        kept, metrics = deepcopy(config), dict(METRICS)
        logger = registry.build("logger", subject.config, Path(folder), config)
        logger.log_metrics(metrics, 3)
        if hasattr(logger, "finalize"):
            logger.finalize("success")
    ensure(metrics == METRICS, f"log_metrics turned {METRICS} into {metrics}; change a copy")
    ensure(config == kept, "it changed the config of the run; change a copy")


@check("logger")
def a_resumed_run_keeps_what_was_logged(subject: LoggerSubject) -> None:
    """It is opened on the same folder again, where the files of the first start are."""
    with TemporaryDirectory() as folder:
        with subject.opened(Path(folder)) as logger:
            for step in range(DIED_AT):
                logger.log_metrics(dict(METRICS), step)
        before = _size(Path(folder))
        remedy = "it must open on the folder of a run a second time, and append"
        with explained(remedy), subject.opened(Path(folder)) as logger:
            if hasattr(logger, "resume"):
                logger.resume(CHECKPOINT)
            for step in range(0 if getattr(logger, "replays", False) else CHECKPOINT + 1, DIED_AT + 1):
                logger.log_metrics(dict(METRICS), step)
        after = _size(Path(folder))
    ensure(
        after >= before,
        f"opened a second time its files shrink from {before:,} to {after:,} bytes; append, or set replays = True "
        "to be given the earlier metrics again",
    )


@check("logger")
def takes_the_outcome_of_a_run(subject: LoggerSubject) -> None:
    """A finished run hands it its report, figures and best checkpoint."""
    with TemporaryDirectory() as folder, subject.opened(Path(folder)) as logger:
        if not hasattr(logger, "publish"):
            raise DoesNotApply("it has no publish")
        report = {"name": "check", "config": subject.run_config(), "test": {"loss": 0.5}, "best_step": 3}
        with explained("it must take publish(report, figures, checkpoint)"):
            logger.publish(report, [], Path(folder, "best.ckpt"))


@check("logger")
def can_be_abandoned_after_a_fault(subject: LoggerSubject) -> None:
    """A logger that failed is not used again; abandon is its last call."""
    with TemporaryDirectory() as folder:
        logger = subject.build(Path(folder))
        if not hasattr(logger, "abandon"):
            raise DoesNotApply("it has no abandon")
        with explained("abandon is called without arguments"):
            logger.abandon()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

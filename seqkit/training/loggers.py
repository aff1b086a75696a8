"""Loggers beside ``metrics.csv``, which is always written; their contract is ``seqkit.contracts.components.Logger``."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from threading import Event
from typing import Any, Literal

from seqkit.errors import ConfigError, one_line
from seqkit.faults import author_line
from seqkit.registry import register_logger
from seqkit.runs.folder import RunFolder
from seqkit.runs.metrics_csv import MetricsWriter

LOG = logging.getLogger("seqkit")
FLUSH_SECONDS = 30.0  # in which wandb writes out what it holds


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


@register_logger("wandb")
def wandb(
    folder: Path,
    config: dict[str, Any],
    *,
    project: str = "seqkit",
    entity: str | None = None,
    mode: Literal["auto", "online", "offline"] = "auto",
    log_model: bool = False,
) -> Any:
    """Weights & Biases; the wandb run has the id of the run's folder, so a resumed run continues it.

    Args:
        folder: Of the run.
        config: Of the run.
        project: wandb project.
        entity: wandb user or team; null is the account's default.
        mode: ``auto`` is online where an API key is found, else offline; it never asks for one.
        log_model: Whether the best checkpoint is stored as an artifact at the end.
    """
    if mode == "auto":
        reason = offline_reason()
        mode = "offline" if reason else "online"
        if reason:
            later = f"later: wandb sync {folder / 'wandb'}/offline-run-*"
            print(f"wandb: {reason}, so logging offline; {later}", file=sys.stderr)
    elif mode == "online" and not _api_key():
        raise ConfigError("logger.mode=online needs an API key: run `wandb login` or set WANDB_API_KEY")

    from lightning.pytorch.loggers import WandbLogger

    os.environ.setdefault("WANDB_SILENT", "true")
    logger = WandbLogger(
        project=project,
        entity=entity,
        name=f"{config['name']}/{folder.name}",
        id=f"{config['name']}-{folder.name}",
        resume="allow",
        save_dir=folder,
        offline=mode == "offline",
        log_model=False,
    )
    logger.log_hyperparams(config)
    return Wandb(logger, offline=mode == "offline", log_model=log_model)


class Wandb:
    """A run of Weights & Biases.

    Args:
        logger: Lightning's.
        offline: Whether it is written to files only.
        log_model: Whether the best checkpoint is stored as an artifact at the end.
    """

    def __init__(self, logger: Any, offline: bool, log_model: bool) -> None:
        self._logger, self._log_model = logger, log_model
        # A killed run's file lacks its last block: an offline run that goes on in a new file starts with all of it.
        self.replays = offline
        self.log_metrics, self.finalize = logger.log_metrics, logger.finalize

    def publish(self, report: dict[str, Any], figures: Sequence[Path], checkpoint: Path) -> None:
        """Send figures and, if asked, the checkpoint, and wait until all is written."""
        import wandb

        run = self._logger.experiment
        for figure in figures:
            self._logger.log_image(key=figure.stem, images=[str(figure)])
        if self._log_model:
            artifact = wandb.Artifact(f"{report['name']}-{Path(report['run']).name}", type="model")
            artifact.add_file(str(checkpoint))
            run.log_artifact(artifact)
        folder = Path(run.dir).parent
        run.finish()
        if self.replays:
            wait_until_written(folder.glob("*.wandb"))

    def abandon(self) -> None:
        """End wandb's service, which would else be waited for."""
        import wandb

        wandb.teardown()


def offline_reason() -> str:
    """Return why ``mode=auto`` logs to Weights & Biases offline; an empty string where it logs online."""
    wanted = os.environ.get("WANDB_MODE", "online")
    if wanted != "online":
        return f"WANDB_MODE={wanted}"
    return "" if _api_key() else "no API key"


def _api_key() -> str | None:
    return os.environ.get("WANDB_API_KEY") or _stored_key()


def _stored_key() -> str | None:
    """Return the API key of the netrc file, where `wandb login` puts it."""
    import netrc
    from urllib.parse import urlparse

    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        entry = netrc.netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return entry[2] if entry else None


@register_logger("tensorboard")
def tensorboard(folder: Path, config: dict[str, Any]) -> Any:
    """TensorBoard event files in the run's folder; needs `pip install seqkit[tensorboard]`.

    Args:
        folder: Of the run.
        config: Of the run.
    """
    try:
        import tensorboard as installed  # noqa: F401
    except ImportError:
        raise ConfigError("logger=tensorboard needs a package: pip install 'seqkit[tensorboard]'") from None
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoard(TensorBoardLogger(save_dir=folder, name="tensorboard", version=""))


class TensorBoard:
    """Event files.

    Args:
        logger: Lightning's.
    """

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self.log_metrics, self.finalize = logger.log_metrics, logger.finalize

    def publish(self, report: dict[str, Any], figures: Sequence[Path], checkpoint: Path) -> None:
        """Add the figures as images."""
        import matplotlib.image

        for figure in figures:
            image = matplotlib.image.imread(figure)
            self._logger.experiment.add_image(figure.stem, image, dataformats="HWC")


def wait_until_written(files: Iterable[Path], seconds: float = FLUSH_SECONDS) -> None:
    """Wait until files that another process writes hold more than a header and have stopped growing.

    ``finish`` of a wandb run returns before its service has written the rest of the run's file.
    """
    paths, sizes, unchanged = list(files), [0], 0
    end = time.monotonic() + seconds
    while unchanged < 20 and time.monotonic() < end:
        now = [path.stat().st_size for path in paths]
        unchanged = unchanged + 1 if now == sizes and all(size > 100 for size in now) else 0
        sizes = now
        Event().wait(0.02)

"""Loggers beside ``metrics.csv``, which is always written. Built as ``logger(folder, config, *, options)``."""

import os
import sys
from pathlib import Path
from typing import Any, Literal

from seqkit.errors import ConfigError
from seqkit.registry import register_logger


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
    key = os.environ.get("WANDB_API_KEY") or _stored_key()
    if mode == "auto":
        wanted = os.environ.get("WANDB_MODE", "online")
        mode = "online" if key and wanted == "online" else "offline"
        if mode == "offline":
            reason = "no API key" if wanted == "online" else f"WANDB_MODE={wanted}"
            later = f"later: wandb sync {folder / 'wandb'}/offline-run-*"
            print(f"wandb: {reason}, so logging offline; {later}", file=sys.stderr)
    elif mode == "online" and not key:
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
    return logger


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

    return TensorBoardLogger(save_dir=folder, name="tensorboard", version="")


def publish(logger: Any, folder: Path, report: dict[str, Any]) -> None:
    """Send a finished run's scores and figures to a logger, and its best checkpoint where that was asked for."""
    chosen = report["config"]["logger"]
    scores = {f"test/{name}": value for name, value in report["test"].items()}
    logger.log_metrics(scores, report["best_step"])
    figures = [folder / name for name in report["figures"]]
    if chosen["name"] == "wandb":
        for figure in figures:
            logger.log_image(key=figure.stem, images=[str(figure)])
        if chosen["log_model"]:
            import wandb

            artifact = wandb.Artifact(f"{report['name']}-{folder.name}", type="model")
            artifact.add_file(str(folder / "checkpoints" / "best.ckpt"))
            logger.experiment.log_artifact(artifact)
        logger.experiment.finish()
    elif chosen["name"] == "tensorboard":
        import matplotlib.image

        for figure in figures:
            logger.experiment.add_image(figure.stem, matplotlib.image.imread(figure), dataformats="HWC")
    logger.finalize("success")

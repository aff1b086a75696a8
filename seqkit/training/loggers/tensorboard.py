"""TensorBoard."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from seqkit.errors import ConfigError
from seqkit.registry import register_logger


@register_logger("tensorboard")
class TensorBoard:
    """TensorBoard event files in the run's folder; needs `pip install seqkit[tensorboard]`.

    Every start writes a file of its own, and purges from the earlier ones the steps that come again.

    Args:
        folder: Of the run.
        config: Of the run.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        try:
            import tensorboard as installed  # noqa: F401
        except ImportError:
            raise ConfigError("logger=tensorboard needs a package: pip install 'seqkit[tensorboard]'") from None
        self._folder, self._first = folder / "tensorboard", 0

    def resume(self, step: int) -> None:
        """Keep the events up to a step."""
        self._first = step + 1

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Add one scalar per metric."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def publish(self, report: dict[str, Any], figures: Sequence[Path], checkpoint: Path) -> None:
        """Add the figures as images."""
        import matplotlib.image

        for figure in figures:
            self._writer.add_image(figure.stem, matplotlib.image.imread(figure), dataformats="HWC")

    def finalize(self, status: str) -> None:
        """Flush."""
        self._writer.close()

    @cached_property
    def _writer(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self._folder), purge_step=self._first)

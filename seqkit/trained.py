"""A trained network from its run's folder or checkpoint alone: no training data, no original command."""

import logging
from collections.abc import Sequence
from contextlib import chdir, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqkit.config import Config
from seqkit.contracts import DataSpec, Split
from seqkit.errors import ConfigError, DataError
from seqkit.inference.evaluate import evaluate, rounded
from seqkit.network import Network, device_of, exact
from seqkit.registry import build
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder
from seqkit.runs.provenance import change_reason
from seqkit.runs.resuming import missing_best_reason

if TYPE_CHECKING:
    from seqkit.inference.portable import Format
    from seqkit.inference.stream import Stream

LOG = logging.getLogger("seqkit")


@dataclass(frozen=True)
class Trained:
    """A trained network with what it needs to be used.

    Attributes:
        network: In evaluation mode.
        spec: What its inputs and outputs are.
        config: Of the run.
        path: The checkpoint.
        facts: Of the checkpoint: step, versions, hashes.
    """

    network: Network
    spec: DataSpec
    config: Config
    path: Path
    facts: dict[str, Any]

    def predict(self, inputs: Any) -> list[Any]:
        """Predict for new inputs; see ``seqkit.inference.predict.predict``."""
        from seqkit.inference.predict import predict

        options = self.config["data"]
        reading = {name: options[name] for name in ("time_column", "missing", "repeats") if name in options}
        with exact(next(self.network.parameters()).device):
            return predict(self.network, self.spec, inputs, **reading)

    def generate(
        self, prompt: str = "", length: int = 500, temperature: float = 0.8, top_k: int | None = None, seed: int = 1
    ) -> str:
        """Continue a text; see ``seqkit.inference.generate.generate``."""
        from seqkit.inference.generate import generate

        with exact(next(self.network.parameters()).device):
            return generate(self.network, self.spec, prompt, length, temperature, top_k, seed)

    def stream(self) -> "Stream":
        """Take an input chunk by chunk as it comes; see ``seqkit.inference.stream.Stream``."""
        from seqkit.inference.stream import Stream

        return Stream(self.network, self.spec)

    def evaluate(
        self, split: Split = "test", batch_size: int | None = None, overrides: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Score the network on a part of its own data, beside the naive baselines.

        Args:
            split: "valid" or "test".
            batch_size: Samples or streams side by side; None is that of training. Does not change the scores.
            overrides: ``data.OPTION=VALUE``, for data that have moved.

        Returns:
            ``{"model": {score: value}, baseline: {score: value}, ...}``.

        Raises:
            DataError: The data are not what the network was trained for.
        """
        from seqkit.report.baselines import naive

        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"batch size {batch_size}: must be 1 or more")
        config = self._data_config(overrides)
        started_in = self.facts["started_in"]
        # The paths in the config are relative to where the training started; some data read their files late.
        with chdir(started_in) if started_in and Path(started_in).is_dir() else nullcontext():
            data = build("data", config)
            data.setup()
            if data.spec != self.spec:
                raise DataError("the data differ in kind, vocabulary or scale from those the network was trained on")
            if not overrides and data.fingerprint != self.facts["fingerprint"]:
                raise DataError("the data have changed since the training, so its numbers cannot be made again")
            scores = evaluate(self.network, data, split, batch_size or data.batch_size)
            return {"model": scores, **naive(self.spec, data, split, self.network.head)}

    def export(self, path: str | Path | None = None, format: "Format" = "onnx") -> dict[str, Any]:
        """Write the network to a file that needs no seqkit; see ``seqkit.inference.export.export``."""
        from seqkit.inference.export import export

        return export(self, path, format)

    def describe(self) -> dict[str, Any]:
        """Return what the network is made of, as plain JSON."""
        from seqkit.report.page import loops_in_words

        size = sum(parameter.numel() for parameter in self.network.parameters())
        return {
            "checkpoint": str(self.path),
            "parameters": size,
            **self.facts,
            "loops": loops_in_words(self.network.model),
            "spec": self.spec.to_json(),
            "config": self.config,
        }

    def _data_config(self, overrides: Sequence[str]) -> dict[str, Any]:
        import yaml

        config = dict(self.config["data"])
        for override in overrides:
            key, equals, value = override.partition("=")
            if not key.startswith("data.") or not equals:
                raise ConfigError(f"'{override}': only data.OPTION=VALUE can be changed for an evaluation")
            try:
                parsed = yaml.safe_load(value)
            except yaml.YAMLError:
                raise ConfigError(f"cannot read the override '{override}'") from None
            if isinstance(parsed, str) and Path(parsed).expanduser().exists():
                parsed = str(Path(parsed).expanduser().resolve())
            config[key.removeprefix("data.")] = parsed
        return config


def load(path: str | Path, device: str = "auto") -> Trained:
    """Load a trained network.

    Args:
        path: A run's folder (its best checkpoint is taken) or a checkpoint file.
        device: "auto" (a GPU where there is one), "cpu" or "gpu".

    Raises:
        ConfigError: There is no checkpoint, or it is not one of seqkit.
    """
    target = device_of(device)
    saved = Checkpoint.read(_checkpoint(Path(path).expanduser()))
    network, config = saved.network(), saved.config()
    if changed := change_reason(config, saved.metadata["components"]):
        LOG.warning("%s: %s", saved.path, changed)
    kept = {key: saved.metadata[key] for key in ("version", "hash", "fingerprint", "started_in")}
    scores = {name: rounded(value) for name, value in saved.metadata["latest"].items()}
    return Trained(
        network=network.to(target).eval(),
        spec=saved.spec(),
        config=config,
        path=saved.path,
        facts={"step": saved.step, **kept, "valid": scores},
    )


def _checkpoint(path: Path) -> Path:
    if path.is_file():
        return path
    run = RunFolder(path)
    if not run.config_json.is_file() or not run.started:
        run.read_config()  # refuses what is not a run
    if not run.best.exists():
        raise ConfigError(missing_best_reason(run))
    return run.best

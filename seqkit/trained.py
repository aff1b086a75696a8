"""A trained network from its run's folder or checkpoint alone: no training data, no original command."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from seqkit.config import Config
from seqkit.contracts.batch import Split
from seqkit.contracts.spec import DataSpec
from seqkit.data.loading import set_up
from seqkit.errors import ConfigError, DataError, SeqkitError
from seqkit.evaluation import MODEL, evaluate, rounded
from seqkit.files import disk_reason, working_in
from seqkit.network import Network, device_of
from seqkit.precision import float32_eval
from seqkit.ranks import group
from seqkit.registry import build
from seqkit.runs.checkpoint import Checkpoint
from seqkit.runs.folder import RunFolder, config_difference
from seqkit.runs.length import is_continuation
from seqkit.runs.provenance import change_reason, version_reason
from seqkit.runs.resuming import checkpoint_named
from seqkit.specs import spec_to_json

if TYPE_CHECKING:
    from seqkit.export.portable import Format
    from seqkit.inference.forecast import Future
    from seqkit.inference.sources import Source, Sources
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
        facts: Metadata of the checkpoint: step, version, hashes, metrics of the last validation.
    """

    network: Network
    spec: DataSpec
    config: Config
    path: Path
    facts: dict[str, Any]

    def predict(self, inputs: Any) -> list[Any]:
        """Predict for new inputs; see ``seqkit.inference.predict.predict``."""
        from seqkit.inference.predict import predict

        with float32_eval(next(self.network.parameters()).device):
            return predict(self.network, self.spec, inputs)

    def sources(
        self, given: Sequence[Any], column: str | None = None, id: str | None = None, separator: Any = None
    ) -> "Sources":
        """Return inputs by files, folders and tables; see ``seqkit.inference.sources.Sources``."""
        from seqkit.inference.sources import Sources

        return Sources(self.spec, given, column, id, separator)

    def predict_each(
        self,
        sources: "Iterable[Source]",
        batch_size: int = 64,
        skipped: Callable[[str, SeqkitError], None] | None = None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield ids and predictions, any number of them; see ``seqkit.inference.predict.predict_each``."""
        from seqkit.inference.predict import predict_each

        with float32_eval(next(self.network.parameters()).device):
            yield from predict_each(self.network, self.spec, sources, batch_size, skipped)

    def forecast(
        self, data: str | Path | None = None, known: str | Path | None = None, horizon: int | None = None
    ) -> "Future":
        """Forecast the rows after the end of a file; see ``seqkit.inference.forecast.forecast``.

        Args:
            data: The file; None for the one that the run was trained on, as it is now.
            known: The columns that are known ahead, for the rows to come.
            horizon: Rows to forecast; as many as were trained if None.
        """
        from seqkit.inference.forecast import forecast, refuse_without_future

        refuse_without_future(self.spec)
        with float32_eval(next(self.network.parameters()).device):
            return forecast(self.network, self.spec, self._own_file() if data is None else data, known, horizon)

    def text(self, answer: dict[str, Any]) -> str:
        """Return one answer of ``predict`` as a person reads it."""
        if hasattr(self.spec.task, "text"):
            return self.spec.task.text(answer)
        return json.dumps(answer, ensure_ascii=False)

    def write(self, answer: dict[str, Any], path: str | Path) -> Path:
        """Write one answer of ``predict`` as a file of the kind that the task has, and return its path.

        Args:
            answer: One of ``predict``.
            path: Without the ending, which the task adds.

        Raises:
            ConfigError: Answers of the task are not written as files, or this one cannot be.
        """
        if not hasattr(self.spec.task, "write"):
            name = type(self.spec.task).__name__
            raise ConfigError(
                f"answers of {name} are text and rows; write them to a name that ends in .csv, .jsonl or .parquet"
            )
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            return self.spec.task.write(answer, Path(path))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({disk_reason(error)})") from None

    def generate(
        self,
        prompt: str = "",
        length: int = 500,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 1,
        stop: Sequence[str] = (),
        write: Callable[[str], None] | None = None,
    ) -> str:
        """Continue a text; see ``seqkit.inference.generate.generate``."""
        from seqkit.inference.generate import generate

        sampling = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed, "stop": stop}
        with float32_eval(next(self.network.parameters()).device):
            return generate(self.network, self.spec, prompt, length, write=write, **sampling)

    def surprise(self, source: Any) -> Iterator[tuple[str, float | None]]:
        """Yield each token of a text and its loss in nats; see ``seqkit.inference.surprise.surprise``."""
        from seqkit.inference.surprise import surprise

        with float32_eval(next(self.network.parameters()).device):
            yield from surprise(self.network, self.spec, source)

    def stream(self) -> "Stream":
        """Take an input chunk by chunk as it comes; see ``seqkit.inference.stream.Stream``."""
        from seqkit.inference.stream import Stream

        return Stream(self.network, self.spec)

    def evaluate(
        self,
        split: Split = "test",
        batch_size: int | None = None,
        overrides: Sequence[str] = (),
        cache: int | None = None,
        dynamic: int | None = None,
    ) -> dict[str, Any]:
        """Score the network on a part of its own data, beside the baselines; each rank its rows of every batch.

        Args:
            split: "valid" or "test".
            batch_size: Samples or streams side by side, over all ranks; None is that of training. Does not change the
                scores.
            overrides: ``data.OPTION=VALUE``, for data that have moved.
            cache: Tokens that a neural cache remembers, beside a language model itself; None is none. See
                ``seqkit.inference.cached.cached_scores``.
            dynamic: Tokens after each of which a language model learns from them, beside the one that does not; None is
                none. See ``seqkit.inference.dynamic.dynamic_scores``.

        Returns:
            ``{"model": {score: value}, baseline: {score: value}, ...}``; also "model with cache", whose scores end with
            ``cache_theta`` and ``cache_weight``, and "model with dynamic evaluation", with ``dynamic_lr`` and
            ``dynamic_decay``.

        Raises:
            DataError: The data are not those that the network was trained for.
            ConfigError: The batch size or an override is wrong.
        """
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"batch size {batch_size}: must be 1 or more")
        if cache is not None:
            from seqkit.inference.cached import cached_scores, refuse_cache

            refuse_cache(self.spec, cache, split)
        if dynamic is not None:
            from seqkit.inference.dynamic import dynamic_scores, refuse_dynamic

            refuse_dynamic(self.spec, dynamic, split)
        data = self.data(overrides)
        with working_in(Path(self.facts["started_in"])):  # some data read their files late
            same = {name: self.facts[name] for name in ("version", "hash", "step")}
            group().refuse_if_unequal({**same, "fingerprint": data.fingerprint, "torch": str(torch.__version__)})
            batch_size = batch_size or data.batch_size
            scores = evaluate(self.network, self.spec, data, split, batch_size).scores
            beside = {MODEL: scores[MODEL]}
            if cache is not None:
                beside["model with cache"] = cached_scores(self.network, self.spec, data, split, batch_size, cache)
            if dynamic is not None:
                beside["model with dynamic evaluation"] = dynamic_scores(self.network, self.spec, data, split, dynamic)
            return beside | scores

    def data(self, overrides: Sequence[str] = ()) -> Any:
        """Return the data that the network was trained on, set up; raises as ``evaluate``."""
        config = self._data_config(overrides)
        with working_in(Path(self.facts["started_in"])):  # that the paths in the config are relative to
            data = build("data", config)
            set_up(data)
        if data.spec != self.spec:
            raise DataError("the data differ in kind, vocabulary or scale from those the network was trained on")
        if not overrides and data.fingerprint != self.facts["fingerprint"]:
            raise DataError("the data have changed since the training, so its numbers cannot be made again")
        return data

    def export(self, path: str | Path | None = None, format: "Format" = "onnx") -> dict[str, Any]:
        """Write the network to a file that needs no seqkit; see ``seqkit.export.exporting.export``."""
        from seqkit.export.exporting import export

        run = {"checkpoint": str(self.path), "step": self.facts["step"], "hash": self.facts["hash"]}
        folder = RunFolder(self.path.parent.parent)
        exports = folder.exports if self.path.parent == folder.checkpoints else None
        about = {"run": run, "config": self.config}
        return export(self.network, self.spec, self.path, about, exports, path, format)

    def describe(self) -> dict[str, Any]:
        """Return what the network is made of, as plain JSON."""
        from seqkit.report.facts import backends_in_words

        size = sum(parameter.numel() for parameter in self.network.parameters())
        return {
            "checkpoint": str(self.path),
            "parameters": size,
            **self.facts,
            "backends": backends_in_words(self.network.model),
            "spec": spec_to_json(self.spec),
            "config": self.config,
        }

    def _own_file(self) -> Path:
        """Return the file of the data that the network was trained on; raises where they are not read from one."""
        with working_in(Path(self.facts["started_in"])):
            data = build("data", self.config["data"])
            if not hasattr(data, "path"):
                raise ConfigError(f"data={self.config['data']['name']} are not read from one file; give it as data")
            return Path(data.path).resolve()

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
    target = device_of(device, group().place.local_rank)
    run = RunFolder(Path(path).expanduser())
    try:
        saved = Checkpoint.read(checkpoint_named(run.path))
    except ConfigError as error:
        if run.best.exists() and run.last.exists():
            raise ConfigError(f"{error}; {run.last} can be named instead") from None
        raise
    network, config = saved.network(), saved.config()
    if run.config_json.is_file() and (other := _edited_reason(run, config)):
        LOG.warning("%s: %s; the checkpoint's own config is used", run.config_json, other)
    for reason in (change_reason, version_reason):
        if changed := reason(saved.metadata["components"]):
            LOG.warning("%s: %s", saved.path, changed)
    since = {key: saved.metadata[key] for key in ("history", "init_from") if saved.metadata.get(key)}
    kept = {key: saved.metadata[key] for key in ("version", "hash", "fingerprint", "started_in")}
    scores = {name: rounded(value) for name, value in saved.metadata["latest"].items()}
    return Trained(
        network=network.to(target).eval(),
        spec=saved.spec(),
        config=config,
        path=saved.path,
        facts={"step": saved.step, **kept, **since, "valid": scores},
    )


def _edited_reason(run: RunFolder, config: Config) -> str:
    """Return how a run's config.json differs from the config that its checkpoint holds, or an empty string."""
    try:
        written, _ = run.read_config()
    except ConfigError:
        return "cannot be read"
    return "" if is_continuation(config, written) else f"edited, {config_difference(config, written)}"

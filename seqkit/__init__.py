"""seqkit: train recurrent sequence models on text, time series and audio.

The public API on one screen; each name is imported when it is first used, so that ``import seqkit`` is quick.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

BUILT_IN = (
    "seqkit.plugins",
    "seqkit.config",
    "seqkit.inputs",
    "seqkit.models",
    "seqkit.tasks",
    "seqkit.data",
    "seqkit.training.optimizers",
    "seqkit.training.schedules",
    "seqkit.training.loggers",
)
"""The modules whose import registers seqkit's own components, and the finder of others; the registry imports them when
a name is asked for."""

_HOME = {
    # train and use
    "train": "seqkit.hydra_cli",
    "load": "seqkit.trained",
    "record_gates": "seqkit.models.record",
    "main": "seqkit.__main__",
    # components
    "register_cell": "seqkit.models.register",
    "register_data": "seqkit.registry",
    "register_frontend": "seqkit.registry",
    "register_head": "seqkit.registry",
    "register_inputs": "seqkit.registry",
    "register_logger": "seqkit.registry",
    "register_model": "seqkit.registry",
    "register_optimizer": "seqkit.registry",
    "register_scheduler": "seqkit.registry",
    "register_task": "seqkit.registry",
    "register_tokenizer": "seqkit.registry",
    "build": "seqkit.registry",
    "names": "seqkit.registry",
    # what a data set or a head needs at hand
    "generator": "seqkit.rng",
    "pad": "seqkit.padding",
    "sequential": "seqkit.data.ordering",
    "shuffled": "seqkit.data.ordering",
    "valid": "seqkit.padding",
    # what flows between them
    "Batch": "seqkit.contracts.batch",
    "DataSpec": "seqkit.contracts.spec",
    "Classes": "seqkit.tasks.classify.spec",
    "ClassPrediction": "seqkit.tasks.classify.prediction",
    "Frames": "seqkit.inputs.frames.spec",
    "NextToken": "seqkit.tasks.next_token.spec",
    "Series": "seqkit.tasks.forecast.spec",
    "SeriesPrediction": "seqkit.tasks.forecast.prediction",
    "TokenPrediction": "seqkit.tasks.next_token.prediction",
    "Tokens": "seqkit.inputs.tokens.spec",
    "SpelledWords": "seqkit.inputs.words.spec",
    "TagPrediction": "seqkit.tasks.tag.prediction",
    "Tags": "seqkit.tasks.tag.spec",
    "Transcript": "seqkit.tasks.transcribe.spec",
    "TranscriptPrediction": "seqkit.tasks.transcribe.prediction",
    "Waveform": "seqkit.inputs.waveform.spec",
    # refusals
    "ConfigError": "seqkit.errors",
    "DataError": "seqkit.errors",
    "PluginError": "seqkit.errors",
    "SeqkitError": "seqkit.errors",
    "TrainingError": "seqkit.errors",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'seqkit' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

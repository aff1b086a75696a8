"""seqkit: train recurrent sequence models on text, time series and audio.

The public API on one screen; each name is imported when it is first used, so that ``import seqkit`` is quick.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    # train and use
    "train": "seqkit.hydra_cli",
    "load": "seqkit.trained",
    "record_gates": "seqkit.models.watch",
    "main": "seqkit.__main__",
    # components
    "register_cell": "seqkit.models.register",
    "register_data": "seqkit.registry",
    "register_frontend": "seqkit.registry",
    "register_head": "seqkit.registry",
    "register_logger": "seqkit.registry",
    "register_model": "seqkit.registry",
    "register_optimizer": "seqkit.registry",
    "register_scheduler": "seqkit.registry",
    "build": "seqkit.registry",
    "names": "seqkit.registry",
    # what flows between them
    "Batch": "seqkit.contracts",
    "Classes": "seqkit.contracts",
    "DataSpec": "seqkit.contracts",
    "Frames": "seqkit.contracts",
    "NextToken": "seqkit.contracts",
    "Series": "seqkit.contracts",
    "Tokens": "seqkit.contracts",
    "Transcript": "seqkit.contracts",
    "Waveform": "seqkit.contracts",
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

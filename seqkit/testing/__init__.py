"""The conformance suite for plugin authors: what a component must do, each property as a check of its own.

``check_cell("mgu", layer_norm=True)`` runs every check of a cell, and raises ``CheckError`` with a line for each that
failed. In pytest each is a test of its own: see ``seqkit.testing.pytest_plugin``.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "CheckError": "check",
    "check_cell": "models",
    "check_data": "data",
    "check_frontend": "frontends",
    "check_head": "heads",
    "check_logger": "loggers",
    "check_model": "models",
    "check_optimizer": "optimizers",
    "check_scheduler": "schedulers",
    "check_task": "tasks",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'seqkit.testing' has no attribute '{name}'")
    return getattr(import_module(f"seqkit.testing.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__

"""Checks of models, of cells too: each is a model when it is registered."""

from typing import Any

from seqkit import registry
from seqkit.testing import modules, options, randomness
from seqkit.testing.check import require
from seqkit.testing.line import Chosen
from seqkit.testing.models import gradients, memory, padding, resume, rows, shapes, time, uses
from seqkit.testing.models.subject import ModelSubject, random_inputs

__all__ = ["ModelSubject", "check_cell", "check_model", "random_inputs", "suite"]

MODULES = modules, randomness, shapes, time, padding, rows, memory, gradients, resume, uses  # each defines checks

options.define_checks("model")

INPUT_SIZE = 3


def check_model(name: str, input_size: int = INPUT_SIZE, **options: Any) -> None:
    """Run every check of a model on one that is registered.

    Args:
        name: Under which it is registered.
        input_size: Features of each step of the input.
        options: Of the model.

    Raises:
        CheckError: A check failed; the message has a line for each.
    """
    require(*suite({"model": {"name": name, **options}}, input_size))


def check_cell(name: str, **options: Any) -> None:
    """Run every check of a cell, and of the model that it is part of; raises as ``check_model``.

    Args:
        name: Under which it is registered.
        options: Of the stack and of the cell.
    """
    check_model(name, **options)


def suite(chosen: Chosen, input_size: int = INPUT_SIZE) -> tuple[ModelSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of a model; see ``seqkit.testing.line.suite``."""
    config = dict(chosen["model"])
    subject = ModelSubject(
        make=lambda: registry.build("model", config, input_size),
        inputs=random_inputs(input_size),
        where=f"model={config['name']}",
        config=config,
    )
    return subject, ("model",)

"""Checks of models, of cells too: each is a model when it is registered."""

from typing import Any

from seqkit import registry
from seqkit.models.register import CellModel
from seqkit.testing import modules, options, randomness
from seqkit.testing.check import require
from seqkit.testing.line import Chosen
from seqkit.testing.models import cells, gradients, memory, padding, resume, rows, shapes, time, uses
from seqkit.testing.models.subject import ModelSubject, random_inputs

__all__ = ["ModelSubject", "check_cell", "check_model", "random_inputs", "suite"]

INPUT_SIZE, HIDDEN_SIZE = 3, 6
MODULES = modules, randomness, shapes, time, padding, rows, memory, gradients, resume, uses, cells  # define checks
options.define_checks("model")


def check_model(name: str, input_size: int = INPUT_SIZE, **given: Any) -> None:
    """Run every check of a model, and of its cell if it is made of one.

    Args:
        name: Under which it is registered.
        input_size: Features of each step of the input.
        given: Its options. The hidden size of a cell is small unless it is among them.

    Raises:
        CheckError: A check failed; the message has a line for each.
    """
    require(*suite({"model": {"name": name, **given}}, input_size))


check_cell = check_model


def suite(chosen: Chosen, input_size: int = INPUT_SIZE) -> tuple[ModelSubject, tuple[str, ...]]:
    """Return the subject and the kinds of checks of a model; see ``seqkit.testing.line.suite``."""
    config = dict(chosen["model"])
    is_cell = isinstance(registry.find("model", config["name"]).factory, CellModel)
    if is_cell:
        config = {"hidden_size": HIDDEN_SIZE, **config}
    subject = ModelSubject(
        make=lambda: registry.build("model", config, input_size),
        inputs=random_inputs(input_size),
        where=f"model={config['name']}",
        config=config,
    )
    return subject, ("model", "cell") if is_cell else ("model",)

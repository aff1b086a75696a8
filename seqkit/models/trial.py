"""A trial step of a cell, so that a fault in it shows before training."""

import inspect
from typing import Any

import torch
from torch import Tensor

from seqkit.errors import ConfigError, PluginError, one_line
from seqkit.models.backends.reference import run_reference
from seqkit.models.cell import left_unchanged
from seqkit.models.direction import Direction


def try_step(direction: Direction, input_size: int, hidden_size: int) -> None:
    """Run one step of the cell from random states; the cell, its buffers too, and torch's generator stay as they are.

    Args:
        direction: Whose cell and weights are tried.
        input_size: I.
        hidden_size: H.

    Raises:
        PluginError: The step fails, returns something other than the next state, or changes the state in place.
    """
    cell: Any = direction.cell
    weight, draw = direction.weight_hh, torch.Generator().manual_seed(0)
    if weight.is_meta:
        return

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draw).to(weight)

    state = tuple(random(2, hidden_size) for _ in cell.states)
    before = [part.clone() for part in state]
    versions = [part._version for part in state]
    name = type(cell).__name__
    with torch.no_grad(), torch.random.fork_rng(devices=[]), left_unchanged(cell):
        try:
            run_reference(cell, random(1, 2, input_size), direction.projections(0.0), [None] * len(state), state)
        except (PluginError, ConfigError):
            raise
        except Exception as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_next and trace.tb_frame.f_code.co_name != "step":
                trace = trace.tb_next
            where = f"{inspect.getsourcefile(type(cell))}:{trace.tb_lineno}" if trace else "?"
            reason = one_line(error)
            raise PluginError(f"{name}.step fails ({where}): {type(error).__name__}: {reason}") from error
    for one, part, old, version in zip(cell.states, state, before, versions, strict=True):
        if part._version != version or not torch.equal(part, old):
            raise PluginError(f"{name}.step changes the state '{one}' in place; it must return a new one")

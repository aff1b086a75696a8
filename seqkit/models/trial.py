"""A trial of a cell, so that a fault that would train in silence shows before training."""

# B batch, T time, I input, G all gates of the cell together (their number times H)

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from seqkit.contracts.batch import State
from seqkit.errors import PluginError
from seqkit.models.backends.reference import check_state, run_reference
from seqkit.models.cell import faults_of, left_unchanged
from seqkit.models.direction import Direction
from seqkit.models.projections import Projections

ROWS = 2


def try_step(direction: Direction, input_size: int) -> None:
    """Run a cell from random states, forwards and back; it, its buffers and torch's generator stay as they are.

    Args:
        direction: Whose cell and weights are tried.
        input_size: I.

    Raises:
        PluginError: The step fails, returns something other than the next state, changes its arguments in place, leaves
            a weight without a gradient, or keeps a part of the graph from one call to the next.
    """
    cell: Any = direction.cell
    if direction.bias_ih.is_meta or torch.is_inference_mode_enabled():  # no values, or neither versions nor gradients
        return
    draw = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draw).to(direction.bias_ih)

    steps = len(cell.states) + 2  # what is learned passes from state to state before it is seen in the output
    x_TBI, state = random(steps, ROWS, input_size), tuple(random(ROWS, *shape) for shape in direction.state_shapes)
    with torch.random.fork_rng(devices=[]), left_unchanged(cell), faults_of(type(cell).__name__, "step"):
        with torch.no_grad():
            _one_step(cell, direction.projections(0.0), x_TBI, state)
        with torch.enable_grad():
            _gradients(direction, x_TBI, state)
            if _kept(cell):
                _gradients_again(direction, x_TBI, state)


def _one_step(cell: Any, projections: Projections, x_TBI: Tensor, state: State) -> None:
    """Refuse a step that returns no state, or changes in place what it was given."""
    x = projections.step_inputs(x_TBI)[0]
    given = {f"the state '{name}'": part for name, part in zip(cell.states, state, strict=True)}
    given["x_BI" if projections.layout.wants_input else "x_BG"] = x
    before = {name: (part.clone(), part._version) for name, part in given.items()}
    check_state(cell, cell.step(x, *projections.step_products(1), state), state)
    for name, part in given.items():
        values, version = before[name]
        if part._version != version or not torch.equal(part, values):
            raise PluginError(f"{type(cell).__name__}.step changes {name} in place; it must compute a new one")


def _gradients(direction: Direction, x_TBI: Tensor, state: State) -> None:
    """Refuse a step by which a weight has no part in the output."""
    weights = {name: weight for name, weight in direction.named_parameters() if weight.requires_grad}
    weights.pop("initial", None)
    projections, name = direction.projections(0.0), type(direction.cell).__name__
    outputs = run_reference(direction.cell, x_TBI, projections, [None] * len(state), state)[0]
    found: tuple[Tensor | None, ...] = (None,) * len(weights)
    if outputs.requires_grad:
        found = torch.autograd.grad(outputs.sum(), list(weights.values()), allow_unused=True)
    dead = [key for key, gradient in zip(weights, found, strict=True) if gradient is None]
    if len(dead) == len(weights):
        raise PluginError(f"{name}.step: no gradient reaches a weight from the output, so nothing would be trained")
    if "weight_hh" in dead:
        raise PluginError(f"{name}.step does not use U: say so by recurrent = False, or by the gates that have one")
    if dead:
        raise PluginError(f"{name}.step: no gradient reaches {' or '.join(dead)} from the output")


def _gradients_again(direction: Direction, x_TBI: Tensor, state: State) -> None:
    """Refuse a cell that keeps a part of the graph, which the backward pass of the next batch would enter."""
    try:
        _gradients(direction, x_TBI, state)
    except RuntimeError as error:
        if "backward through the graph a second time" not in str(error):
            raise
        cell, kept = type(direction.cell).__name__, ", ".join(_kept(direction.cell))
        raise PluginError(
            f"{cell}.step keeps {kept} with its graph from one call to the next; detach it, or make it a state"
        ) from error


def _kept(cell: nn.Module) -> list[str]:
    """Return the attributes of a cell that hold a tensor with a graph."""
    return [
        f"self.{prefix}.{name}".replace("..", ".")
        for prefix, module in cell.named_modules()
        for name, value in {**vars(module), **module._buffers}.items()
        if name not in ("_modules", "_buffers")
        and any(isinstance(leaf, Tensor) and leaf.grad_fn for leaf in tree_leaves(value))
    ]

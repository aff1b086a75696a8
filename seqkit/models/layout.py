"""Layout of a cell's weights and states: which gates have an input projection, and which a recurrent one."""

# H hidden

from dataclasses import dataclass
from typing import Any

from seqkit.errors import PluginError


@dataclass(frozen=True)
class Layout:
    """Blocks of H rows of a direction's weights, by the names of their gates.

    Attributes:
        gates: Of ``bias_ih``, and of the columns of x_BG.
        driven: Of ``weight_ih``.
        recurrent: Of ``weight_hh`` and ``bias_hh``.
        diagonal: Whether U is elementwise, so that ``weight_hh`` is a vector.
        wants_input: Whether the step is given x, and computes W x itself.
    """

    gates: tuple[str, ...]
    driven: tuple[str, ...]
    recurrent: tuple[str, ...]
    diagonal: bool = False
    wants_input: bool = False


def layout_of(cell: Any) -> Layout:
    """Return the layout that a cell, or its class, states.

    Raises:
        PluginError: ``gates``, ``driven`` or ``recurrent`` is not as ``Cell`` has it.
    """
    gates = names_of(cell, "gates")
    recurrent = getattr(cell, "recurrent", True)
    diagonal = recurrent == "diagonal"
    return Layout(
        gates,
        _of_gates(cell, "driven", getattr(cell, "driven", True), gates),
        () if recurrent is False else _of_gates(cell, "recurrent", True if diagonal else recurrent, gates),
        diagonal,
        getattr(cell, "wants_input", False),
    )


def shapes_of(cell: Any, hidden_size: int) -> tuple[tuple[int, ...], ...]:
    """Return the shape per row of each of a cell's states: (H,), or what its ``state_shapes`` gives.

    Raises:
        PluginError: ``state_shapes`` names no state of the cell, or gives the hidden state another shape.
    """
    own = cell.state_shapes(hidden_size) if hasattr(cell, "state_shapes") else {}
    first, *_ = cell.states
    for name, shape in own.items():
        if name not in cell.states:
            raise PluginError(f"{full_name(cell)}: state_shapes names '{name}'; its states: {', '.join(cell.states)}")
        if not isinstance(shape, tuple) or not all(isinstance(size, int) and size > 0 for size in shape):
            raise PluginError(f"{full_name(cell)}: state_shapes gives '{name}' {shape!r}, not a tuple of sizes")
        if name == first and shape != (hidden_size,):
            raise PluginError(f"{full_name(cell)}: the state '{first}' is the output; its shape is (hidden_size,)")
    return tuple(own.get(name, (hidden_size,)) for name in cell.states)


def names_of(cell: Any, attribute: str) -> tuple[str, ...]:
    """Return ``gates`` or ``states`` of a cell.

    Raises:
        PluginError: It is no tuple of different names.
    """
    names = getattr(cell, attribute, None)
    if not isinstance(names, tuple) or not names:
        raise PluginError(f"{full_name(cell)}: a cell needs '{attribute}', a tuple of names")
    if len(set(names)) < len(names):
        raise PluginError(f"{full_name(cell)}: a name stands twice in '{attribute}'")
    return names


def full_name(cell: Any) -> str:
    """Return module and name of a cell's class."""
    own = cell if isinstance(cell, type) else type(cell)
    return f"{own.__module__}.{own.__qualname__}"


def _of_gates(cell: Any, attribute: str, stated: Any, gates: tuple[str, ...]) -> tuple[str, ...]:
    if stated is True:
        return gates
    if isinstance(stated, tuple) and stated and len(set(stated)) == len(stated) and set(stated) <= set(gates):
        return stated
    others = "True, False, 'diagonal' or" if attribute == "recurrent" else "True or"
    raise PluginError(
        f"{full_name(cell)}: {attribute} = {stated!r}; it must be {others} a tuple of its gates {', '.join(gates)}"
    )

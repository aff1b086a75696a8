"""``@register_cell``: a cell class becomes ``model=NAME``, its own options merged with those of the stack."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from torch import nn

from seqkit import schema
from seqkit.errors import PluginError
from seqkit.models.cell import has_no_init
from seqkit.models.stack import Recurrent
from seqkit.registry import register

CellT = TypeVar("CellT", bound=nn.Module)


def register_cell(name: str) -> Callable[[type[CellT]], type[CellT]]:
    """Register a cell class as ``model=name``, with the options of the stack and then its own.

    Raises:
        PluginError: The class breaks the contract of ``Cell``, or an option of its own is one of the stack's.
    """

    def decorate(cell: type[CellT]) -> type[CellT]:
        model = CellModel(cell)
        register("model", name, source=cell, doc=_doc(cell))(model)
        return cell

    return decorate


class CellModel:
    """The model of a cell: ``(input_size, *, the stack's options, the cell's options) -> Recurrent``.

    Attributes:
        component_options: Of the stack, then of the cell.
        renamed_options: Names that options had, and have now.

    Raises:
        PluginError: As ``register_cell``.
    """

    renamed_options: ClassVar[dict[str, str]] = {"loop": "backend"}

    def __init__(self, cell: type[nn.Module]) -> None:
        self.cell = cell
        self.own = _own_options(cell)
        self.component_options = (*schema.options(Recurrent), *self.own)

    def __call__(self, input_size: int, **options: Any) -> Recurrent:
        own = {option.name: options.pop(option.name) for option in self.own if option.name in options}
        return Recurrent(partial(self.cell, **own) if own else self.cell, input_size, **options)


def _own_options(cell: type[nn.Module]) -> tuple[schema.Option, ...]:
    """Return the options of a cell; refuses a class that breaks the contract."""
    where = f"{cell.__module__}.{cell.__qualname__}"
    if not issubclass(cell, nn.Module):
        raise PluginError(f"{where}: a cell must be an nn.Module, or its parameters would not be trained")
    for needed in ("gates", "states"):
        names = getattr(cell, needed, None)
        if not isinstance(names, tuple) or not names:
            raise PluginError(f"{where}: a cell needs '{needed}', a tuple of names")
        if len(set(names)) < len(names):
            raise PluginError(f"{where}: a name stands twice in '{needed}'")
    step = getattr(cell, "step", None)
    if not callable(step):
        raise PluginError(f"{where}: a cell needs a method 'step'")
    if len(inspect.signature(step).parameters) != 4:
        raise PluginError(f"{where}: step takes (self, x_BG, recur, state)")
    own = () if has_no_init(cell) else schema.options(cell)  # type: ignore[arg-type]
    if not has_no_init(cell) and len(schema.signature(cell).parameters) != len(own) + 1:
        raise PluginError(f"{where}: __init__ takes the hidden size and then options: (self, hidden_size, *, ...)")
    stack = schema.options(Recurrent)
    for option in own:
        if option.name in {other.name for other in stack}:
            raise PluginError(f"{where}: option '{option.name}' is one of the stack's; call it something else")
    return own


def _doc(cell: type) -> str:
    """Return a cell's docstring, with the stack's options and what it says itself under ``Args:``."""
    head, own = _split_doc(cell)
    stack = {option.name for option in schema.options(Recurrent)}
    arguments = {name: text for name, text in _split_doc(Recurrent)[1].items() if name in stack} | own
    return "\n".join([head, "", "Args:", *(f"    {name}: {text}" for name, text in arguments.items())])


def _split_doc(component: type) -> tuple[str, dict[str, str]]:
    """Return a class docstring without its Args section, and the text of each argument in that."""
    head, _, rest = inspect.cleandoc(component.__doc__ or "").partition("\n\nArgs:\n")
    section, _, tail = rest.partition("\n\n")
    arguments: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line.startswith(" " * 8) and name:
            arguments[name] += "\n" + line
        elif line:
            name, _, text = line.strip().partition(": ")
            arguments[name] = text
    return f"{head}\n\n{tail}".strip(), arguments

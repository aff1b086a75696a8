"""``@register_cell``: a cell class becomes ``model=NAME``, its own options merged with those of the stack."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from torch import nn

from seqkit import schema
from seqkit.errors import PluginError
from seqkit.models.cell import has_no_init
from seqkit.models.layout import full_name, layout_of, names_of
from seqkit.models.stack import Recurrent
from seqkit.registry import at_authors_line, register

_STEP = "self", "x_BG", "recur", "state"
CellT = TypeVar("CellT", bound=nn.Module)


def register_cell(name: str) -> Callable[[type[CellT]], type[CellT]]:
    """Register a cell class as ``model=name``, with the options of the stack and then its own.

    Raises:
        PluginError: The class breaks the contract of ``Cell``, or an option of its own is one of the stack's.
    """

    def decorate(cell: type[CellT]) -> type[CellT]:
        with at_authors_line():
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
    where = full_name(cell)
    if not issubclass(cell, nn.Module):
        raise PluginError(f"{where}: a cell must be an nn.Module, or its parameters would not be trained")
    layout = layout_of(cell)
    names_of(cell, "states")
    step = getattr(cell, "step", None)
    if not callable(step):
        raise PluginError(f"{where}: a cell needs a method 'step'")
    arguments = ("self", "x_BI", "project", "recur", "state") if layout.wants_input else _STEP
    if len(inspect.signature(step).parameters) != len(arguments):
        raise PluginError(f"{where}: step takes ({', '.join(arguments)})")
    if has_no_init(cell):
        return ()
    own = schema.options(cell)  # type: ignore[arg-type]
    sizes = [name for name in schema.signature(cell).parameters if name not in {option.name for option in own}]
    if len(sizes) != 1 and not (layout.wants_input and len(sizes) == 2 and sizes[0] == "input_size"):
        first = "input_size, hidden_size" if layout.wants_input else "hidden_size"
        raise PluginError(f"{where}: __init__ takes sizes and then options: (self, {first}, *, ...)")
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

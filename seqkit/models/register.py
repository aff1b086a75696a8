"""``@register_cell``: a cell class becomes ``model=NAME``, its own options merged with those of the stack."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from torch import nn

from seqkit import schema
from seqkit.errors import PluginError
from seqkit.models.cell import has_no_init
from seqkit.models.stack import Recurrent
from seqkit.registry import register_model

CellT = TypeVar("CellT", bound=nn.Module)


def register_cell(name: str) -> Callable[[type[CellT]], type[CellT]]:
    """Register a cell class as ``model=name``, with the options of the stack and then its own.

    Raises:
        PluginError: The class breaks the contract of ``Cell``, or an option of its own is one of the stack's.
    """

    def decorate(cell: type[CellT]) -> type[CellT]:
        register_model(name)(_model(cell))
        return cell

    return decorate


def _model(cell: type[nn.Module]) -> Callable[..., Recurrent]:
    """Return the function (input_size, *, the stack's options, the cell's options) -> Recurrent."""
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

    def model(input_size, **options):
        its_own = {option.name: options.pop(option.name) for option in own if option.name in options}
        return Recurrent(partial(cell, **its_own) if its_own else cell, input_size, **options)

    size = inspect.Parameter("input_size", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=int)
    columns = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type)
        for option in (*stack, *own)
    ]
    model.__signature__ = inspect.Signature([size, *columns], return_annotation=Recurrent)  # type: ignore[attr-defined]
    model.__annotations__ = {parameter.name: parameter.annotation for parameter in (size, *columns)}
    model.__module__, model.__name__, model.__qualname__ = cell.__module__, cell.__name__, cell.__qualname__
    head, its_arguments = _split_doc(cell)
    arguments = {**_split_doc(Recurrent)[1], **its_arguments}
    told = [f"    {name}: {arguments[name]}" for name in model.__annotations__ if name in arguments]
    model.__doc__ = "\n".join([head, "", "Args:", *told])
    return model


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
